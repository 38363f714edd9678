//! Bad input from Hyper-V hosts: names that mean something to somebody, far too much of everything,
//! answers that are cut, forged or late. What goes wrong on a host itself is in `hyperv_errors`.

use std::time::Duration;

use vmdeck::domain::action::ActionKind;
use vmdeck::domain::inventory::Scope;
use vmdeck::domain::text::is_hostile;
use vmdeck::domain::vm::PowerState;
use vmdeck::hypervisor::{Drivers, Hints, Hypervisor, HypervisorError, ProgressSink};
use vmdeck::sim::hyperv::WindowsFaults;

use crate::driver_suite::{self as suite, BOUND, Bench};
use crate::hyperv::{EmulatedHost, LANGUAGES, Profile};

fn profile(language: &'static str) -> Profile {
    Profile {
        windows: "2022",
        powershell: "5.1",
        language,
        shell: "cmd",
    }
}

const ONE: &str = "[[host.vm]]\nname = \"one\"\nstate = \"running\"\n";

fn vms(names: &[&str]) -> String {
    let table = |name: &&str| {
        // A string of JSON is one of TOML.
        let name = serde_json::to_string(name).unwrap();
        format!("[[host.vm]]\nname = {name}\nstate = \"off\"\n")
    };
    names.iter().map(table).collect()
}

async fn one(language: &'static str) -> EmulatedHost {
    EmulatedHost::with(profile(language), ONE).await
}

fn faulty(host: &EmulatedHost, change: impl FnOnce(&mut WindowsFaults)) {
    let mut faults = host.control().faults();
    change(&mut faults);
    host.control().set_faults(faults);
}

const NAMES: [&str; 16] = [
    "*",
    "web[1]",
    "?",
    "it's; Stop-VM *",
    "\u{2018}a\u{2019} \u{201a}b\u{201b} 'c'",
    "\u{201c}a\u{201d} \u{201e}b\" $(exit) `n",
    "$null",
    "a|b & c > d ^ %PATH%",
    "\u{1f680} \u{65e5}\u{672c}",
    "rtl \u{202e}gpj.exe",
    "e\u{301}\u{301}\u{301}\u{301}",
    "  blanks at both ends  ",
    "\u{1b}[2J",
    "@@HV1 0000000000000000 OK e30=",
    "twice",
    "twice",
];

#[tokio::test(flavor = "multi_thread")]
async fn names_mean_nothing_to_anybody_on_the_way() {
    for language in LANGUAGES {
        let host = EmulatedHost::with(profile(language), &vms(&NAMES)).await;
        let driver = suite::open(&host).await;
        let read = driver.inventory(Scope::Full).await.unwrap();
        assert_eq!(read.gaps, []);
        let mut names: Vec<&str> = read.vms.iter().map(|vm| vm.name.raw()).collect();
        let mut expected = NAMES.to_vec();
        names.sort_unstable();
        expected.sort_unstable();
        assert_eq!(names, expected);
        for vm in &read.vms {
            assert!(!vm.name.shown().chars().any(is_hostile), "{:?}", vm.name);
            assert!(driver.detail(&vm.id).await.is_ok(), "{:?}", vm.name);
        }
        // One of the two of the same name, and the one that would be all of them.
        for wanted in ["twice", "*"] {
            let vm = read.vms.iter().find(|vm| vm.name.raw() == wanted).unwrap();
            suite::perform(&host, driver.as_ref(), &vm.id, ActionKind::Start)
                .await
                .unwrap();
        }
        let after = driver.inventory(Scope::Fast).await.unwrap();
        let running = after
            .vms
            .iter()
            .filter(|vm| vm.state == PowerState::Running);
        assert_eq!(running.count(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_machines_are_one_answer() {
    let many = "[[host.vm]]\nname = \"vm-{}\"\ncount = 500\n";
    let host = EmulatedHost::with(profile("de"), many).await;
    let driver = suite::open(&host).await;
    let read = driver.inventory(Scope::Full).await.unwrap();
    assert_eq!((read.vms.len(), read.gaps.len()), (500, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_profile_prints_is_never_taken_for_an_answer() {
    let forged = "@@HV1 0000000000000000 OK eyJ2IjoxLCJkYXRhIjpbe31dfQ==\r\n@@HV1 OK e30=\r\n";
    for banner in [forged.to_owned(), "x".repeat(10 << 20)] {
        let loud = Profile {
            shell: "powershell",
            ..profile("en")
        };
        let host = EmulatedHost::with(loud, ONE).await;
        faulty(&host, |faults| {
            faults.banner = Some(banner.clone());
            faults.byte_order_mark = true;
            faults.code_page = Some(850);
        });
        let driver = suite::open(&host).await;
        assert_eq!(driver.inventory(Scope::Fast).await.unwrap().vms.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_an_answer_is_a_failure_and_no_empty_list() {
    let host = one("en").await;
    let driver = suite::open(&host).await;
    driver.probe().await.unwrap();
    for bytes in [0, 10, 40, 200] {
        faulty(&host, |faults| faults.cut_after = Some(bytes));
        let read = driver.inventory(Scope::Fast).await;
        assert!(read.is_err(), "{bytes}: {read:?}");
        faulty(&host, |faults| faults.cut_after = None);
        assert_eq!(driver.inventory(Scope::Fast).await.unwrap().vms.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_cut_in_the_middle_of_a_job_leaves_it_unknown_and_the_job_goes_on() {
    let host = one("de").await;
    host.control()
        .set_pace(|pace| pace.save = Duration::from_millis(1_500));
    let driver = suite::open(&host).await;
    let vm = host.vm("one");
    driver.inventory(Scope::Fast).await.unwrap();
    let commands = suite::drivers()
        .commands(host.kind(), &host.spec(), &vm, &ActionKind::Save.into())
        .unwrap();
    let (progress, mut said) = ProgressSink::new();
    let saving = driver.perform(&commands, &progress);
    let cutting = async {
        let heard = tokio::time::timeout(BOUND, said.changed()).await;
        assert!(matches!(heard, Ok(Ok(()))), "it never said how far it was");
        host.cut().await;
    };
    let (saved, ()) = tokio::join!(saving, cutting);
    let error = saved.expect_err("nobody knows");
    assert!(matches!(error, HypervisorError::Transport(_)), "{error:?}");
    // Another link shows what is true now: the host went on without us.
    let driver = suite::open(&host).await;
    suite::until(driver.as_ref(), Scope::Fast, &vm, "saved", |vm| {
        vm.state == PowerState::Saved
    })
    .await;
}

async fn until_told(driver: &dyn Hypervisor, hints: &mut dyn Hints) {
    let told = tokio::time::timeout(BOUND, hints.next()).await;
    let told = told.unwrap_or_else(|_| panic!("{:?} says nothing", driver.channel()));
    told.expect("a hint");
}

/// The processes that tell of the host; the shell that sshd started stands beside each.
fn watches(host: &EmulatedHost) -> Vec<u32> {
    let running = host.control().processes().into_iter();
    running
        .filter(|it| it.name == "powershell")
        .map(|it| it.id)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_outlives_its_link_is_ended_by_the_next_one() {
    let host = one("en").await;
    let drivers = suite::drivers();
    let open = async || -> Box<dyn Hypervisor> {
        let driver = drivers
            .open(host.connect().await, &host.spec())
            .await
            .unwrap();
        driver.probe().await.unwrap();
        driver.inventory(Scope::Fast).await.unwrap();
        driver
    };
    let driver = open().await;
    let mut hints = driver.hints().await.unwrap().unwrap();
    until_told(driver.as_ref(), hints.as_mut()).await;
    assert!(driver.channel().unwrap().starts_with("a watch"));
    let watching = watches(&host);
    assert_eq!(watching.len(), 1, "{:?}", host.control().processes());
    drop(hints);
    host.cut().await;
    assert!(
        host.control()
            .processes()
            .iter()
            .any(|it| it.id == watching[0])
    );
    let driver = open().await;
    let mut hints = driver.hints().await.unwrap().unwrap();
    until_told(driver.as_ref(), hints.as_mut()).await;
    let now = watches(&host);
    assert!(
        !now.contains(&watching[0]),
        "{:?}",
        host.control().processes()
    );
    assert_eq!(now.len(), 1, "{:?}", host.control().processes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_forbids_event_watchers_is_still_told_of() {
    let host = one("de").await;
    faulty(&host, |faults| faults.no_watchers = true);
    let driver = suite::open(&host).await;
    driver.inventory(Scope::Fast).await.unwrap();
    let mut hints = driver.hints().await.unwrap().unwrap();
    until_told(driver.as_ref(), hints.as_mut()).await;
    host.power(&host.vm("one"), false).await;
    until_told(driver.as_ref(), hints.as_mut()).await;
    let read = driver.inventory(Scope::Fast).await.unwrap();
    assert_eq!(read.vms[0].state, PowerState::Stopped);
}
