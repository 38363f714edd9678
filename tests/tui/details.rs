//! The details of a VM: figures over time, disks, network cards, the definition and the search in it.

use std::sync::Arc;

use jiff::SignedDuration;
use vmdeck::domain::host::HostId;
use vmdeck::domain::metrics::VmMetrics;
use vmdeck::domain::units::{Bytes, Percent};
use vmdeck::domain::vm::{
    AddressSource, RemoteDocument, VmAddress, VmDetail, VmDisk, VmDiskImage, VmNic, VmRef, VmStats,
};
use vmdeck::testing::fleet;
use vmdeck::tui::effect::Local;
use vmdeck::tui::event::{Answer, Input};

use crate::harness::{Screen, styles_of};

/// `build-07` of the small fleet.
fn build() -> VmRef {
    VmRef {
        host: HostId(1),
        vm: fleet::vm_id(1, 1),
    }
}

/// Fourteen minutes with a pause of three, and disks that nobody ever knew anything of.
fn quarter() -> VmMetrics {
    let mut metrics = None;
    for second in (0..840).step_by(3) {
        if (300..480).contains(&second) {
            continue;
        }
        let wave = u32::try_from(second % 120).unwrap();
        let stats = VmStats {
            cpu: Some(Percent::new(f64::from(wave) * 0.7)),
            memory_used: Some(Bytes::from_mib(14_000 + u64::from(wave))),
            net_rx: Some(Bytes(u64::from(wave) * 4096)),
            net_tx: Some(Bytes(0)),
            ..VmStats::default()
        };
        let at = fleet::now() - SignedDuration::from_secs(840 - second);
        match &mut metrics {
            None => metrics = VmMetrics::begin(&stats, at),
            Some(metrics) => assert!(metrics.take(&stats, at)),
        }
    }
    metrics.unwrap()
}

fn detail() -> VmDetail {
    let image = |path: &str| VmDiskImage {
        path: path.into(),
        format: Some("qcow2".into()),
        kind: None,
        capacity: None,
        allocation: None,
    };
    let disk = |target: &str, device: &str, chain: &[&str]| VmDisk {
        target: target.into(),
        source: chain.first().map(|path| (*path).into()),
        device: device.into(),
        format: Some("qcow2".into()),
        bus: Some("virtio".into()),
        capacity: Some(Bytes::from_mib(20_480)),
        allocation: None,
        chain: chain.iter().map(|path| image(path)).collect(),
    };
    let address = |ip: &str, source| VmAddress {
        ip: ip.parse().unwrap(),
        source,
    };
    let nic = |mac: &str, addresses| VmNic {
        mac: mac.into(),
        device: Some("vnet3".into()),
        kind: "network".into(),
        network: Some("default".into()),
        model: Some("virtio".into()),
        addresses,
    };
    let lines: Vec<String> = (1..=60)
        .map(|n| match n % 20 {
            0 => format!("  <Disk n='{n}'>\u{1b}[2J\u{202e}disk</Disk>"),
            _ => format!("  <other n='{n}'/>"),
        })
        .collect();
    VmDetail {
        disks: vec![
            disk(
                "vda",
                "disk",
                &[
                    "/images/build-07.snap1",
                    "/images/build-07.qcow2",
                    "/images/base\u{1b}[31m.qcow2",
                ],
            ),
            disk("hda", "cdrom", &[]),
        ],
        nics: vec![
            nic(
                "52:54:00:11:22:33",
                vec![
                    address("10.0.3.17", AddressSource::Agent),
                    address("fd00::17", AddressSource::Lease),
                ],
            ),
            nic("52:54:00:11:22:34", Vec::new()),
        ],
        definition: RemoteDocument::new(&lines.join("\n")),
        gaps: vec!["sizes of disks: error: timed out".into()],
        ..VmDetail::default()
    }
}

async fn opened(size: (u16, u16), keys: &str) -> Screen {
    let mut screen = Screen::small(size);
    screen.keys("/ \"build\" enter enter").await;
    let read = Answer::Detail(build(), Ok(Arc::new(detail())));
    screen.send(Input::Answer(read)).await;
    screen.keys(keys).await;
    let metrics = Answer::Metrics(build(), Ok(Some(quarter())));
    screen.send(Input::Answer(metrics)).await;
    screen
}

#[tokio::test]
async fn figures_of_a_quarter_of_an_hour_have_gaps_and_no_invented_zeros() {
    let mut screen = opened((80, 24), "tab").await;
    let text = screen.text();
    insta::assert_snapshot!("metrics_80x24", text);
    screen.app.settings.ascii = true;
    let ascii = screen.text();
    assert!(ascii.contains("min 0 B/s     max 0 B/s"), "{ascii}");
    assert!(!ascii.contains('█'), "{ascii}");
}

#[tokio::test]
async fn the_age_of_the_last_figure_goes_on_while_nothing_is_read() {
    let mut screen = opened((120, 40), "tab").await;
    assert!(
        screen.text().contains("last figure 3s ago"),
        "{}",
        screen.text()
    );
    screen.later(30).await;
    let text = screen.text();
    assert!(text.contains("last figure 33s ago"), "{text}");
    assert!(
        text.contains("processor          –"),
        "an old figure is not the current one\n{text}"
    );
}

#[tokio::test]
async fn a_vm_without_figures_says_so() {
    let mut screen = opened((80, 24), "tab").await;
    let none = Answer::Metrics(build(), Ok(None));
    screen.send(Input::Answer(none)).await;
    assert!(
        screen.text().contains("nothing was known"),
        "{}",
        screen.text()
    );
}

#[tokio::test]
async fn every_tab_is_drawn_in_any_room() {
    for size in [(20, 5), (30, 8), (40, 10), (80, 24), (300, 100)] {
        let mut screen = opened(size, "").await;
        for _ in 0..6 {
            let metrics = Answer::Metrics(build(), Ok(Some(quarter())));
            screen.send(Input::Answer(metrics)).await;
            screen.keys("G < > >").await;
            let text = screen.text();
            assert!(text.lines().count() == usize::from(size.1), "{text}");
            screen.keys("g tab").await;
        }
    }
}

#[tokio::test]
async fn disks_and_cards_say_everything_the_host_says() {
    let mut screen = opened((80, 34), "tab tab").await;
    insta::assert_snapshot!("disks", screen.text());
    screen.keys("tab").await;
    insta::assert_snapshot!("nics", screen.text());
    screen.keys("c").await;
    let Some(Local::Copy(copied)) = screen.local.last() else {
        panic!("nothing was copied");
    };
    assert!(
        copied.contains("10.0.3.17") && copied.contains("agent in the VM"),
        "{copied}"
    );
}

#[tokio::test]
async fn the_definition_can_be_searched_and_is_harmless() {
    let mut screen = opened((80, 24), "esc").await;
    screen.keys("y").await;
    let read = Answer::Detail(build(), Ok(Arc::new(detail())));
    screen.send(Input::Answer(read)).await;
    screen.keys("/ \"disk\"").await;
    let text = screen.text();
    assert!(
        text.contains("20   <Disk n='20'>") && text.contains("1 of 3"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
    screen.keys("enter n").await;
    let text = screen.text();
    assert!(
        text.contains("40   <Disk n='40'>") && text.contains("2 of 3"),
        "{text}"
    );
    insta::assert_snapshot!("definition_styles", styles_of(&screen.frame()));
    screen.keys("N N").await;
    assert!(screen.text().contains("<Disk n='60'>"), "{}", screen.text());
    screen.keys("/ \"nowhere\"").await;
    assert!(screen.text().contains("not found"), "{}", screen.text());
    screen.keys("esc").await;
    assert!(screen.text().contains("3 of 3"), "{}", screen.text());
    screen.keys("c").await;
    let Some(Local::Copy(copied)) = screen.local.last() else {
        panic!("nothing was copied");
    };
    assert_eq!(copied.lines().count(), 60);
    assert!(
        !copied.contains('\u{1b}'),
        "what is copied is as harmless as what is shown"
    );
}
