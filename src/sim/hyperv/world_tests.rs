//! The state machine, jobs, checkpoints and what happens by itself.

use std::sync::Arc;

use super::*;
use crate::sim::hyperv::bench::{control, host_with, pass};
use crate::sim::hyperv::faults::Provocation;
use crate::sim::hyperv::host::WinHost;
use crate::sim::hyperv::job;

const VMS: &str = r#"
[[host.vm]]
name = "web"
id = "0a000000-0000-4000-8000-000000000001"
[[host.vm]]
name = "off"
id = "0a000000-0000-4000-8000-000000000002"
state = "off"
[[host.vm]]
name = "saved"
id = "0a000000-0000-4000-8000-000000000003"
state = "saved"
[[host.vm]]
name = "bad"
id = "0a000000-0000-4000-8000-000000000004"
state = "off-critical"
[[host.vm]]
name = "deaf"
id = "0a000000-0000-4000-8000-000000000005"
obeys_shutdown = false
[[host.vm]]
name = "bare"
id = "0a000000-0000-4000-8000-000000000006"
guest_services = false
[[host.vm]]
name = "locked"
id = "0a000000-0000-4000-8000-000000000007"
locked = true
"#;

const MOMENT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(60);

fn id(number: u8) -> String {
    format!("0A000000-0000-4000-8000-00000000000{number}")
}

fn bench() -> Arc<WinHost> {
    host_with("timing = \"realistic\"", VMS)
}

fn state(host: &WinHost, number: u8) -> WinState {
    host.world(|world| world.vm(&id(number)).unwrap().state())
}

fn request(host: &WinHost, number: u8, what: Request) -> Result<String, u16> {
    host.world(|world| world.request(&id(number), what))
}

fn job_state(host: &WinHost, job: &str) -> Option<u16> {
    host.world(|world| world.job(job).map(|job| job.state(world.t())))
}

#[test]
fn a_start_passes_through_starting_and_its_job_through_its_states() {
    let host = bench();
    let job = request(&host, 2, Request::Enabled).unwrap();
    assert_eq!(job_state(&host, &job), Some(job::STARTING));
    assert_eq!(state(&host, 2), WinState::Starting);
    pass(&host, Duration::from_secs(1));
    assert_eq!(job_state(&host, &job), Some(job::RUNNING));
    let percent = host.world(|world| world.job(&job).unwrap().percent(world.t()));
    assert!((30..60).contains(&percent), "{percent}");
    pass(&host, Duration::from_secs(2));
    assert_eq!(job_state(&host, &job), Some(job::COMPLETED));
    assert_eq!(state(&host, 2), WinState::Running);
    // The guest's services come later than the VM.
    let ready = |host: &WinHost| host.world(|world| world.vm(&id(2)).unwrap().is_ready(world.t()));
    assert!(!ready(&host));
    pass(&host, Duration::from_secs(13));
    assert!(ready(&host));
    pass(&host, LONG);
    assert_eq!(
        job_state(&host, &job),
        None,
        "jobs go some time after their end"
    );
}

#[test]
fn what_a_state_forbids_is_refused() {
    let host = bench();
    for (number, what) in [
        (1, Request::Enabled),
        (2, Request::Disabled),
        (2, Request::Offline),
        (2, Request::Quiesce),
        (2, Request::Reset),
        (2, Request::ShutDown),
        (3, Request::Quiesce),
    ] {
        assert_eq!(
            request(&host, number, what),
            Err(code::INVALID_STATE),
            "{what:?} on {number}"
        );
    }
    assert_eq!(
        request(&host, 9, Request::Enabled),
        Err(code::NOT_AVAILABLE)
    );
}

#[test]
fn turning_off_while_stopping_is_refused() {
    let host = bench();
    request(&host, 5, Request::ShutDown).unwrap();
    assert_eq!(state(&host, 5), WinState::Stopping);
    assert_eq!(
        request(&host, 5, Request::Disabled),
        Err(code::INVALID_STATE)
    );
    // The gentle way leaves the VM running, so that it can still be turned off.
    host.world(|world| world.ask_guest(&id(1), false, false))
        .unwrap();
    assert_eq!(state(&host, 1), WinState::Running);
    request(&host, 1, Request::Disabled).unwrap();
    pass(&host, Duration::from_secs(1));
    assert_eq!(state(&host, 1), WinState::Off);
}

#[test]
fn guests_answer_as_they_are() {
    let host = bench();
    let ask = |number: u8, force| host.world(|world| world.ask_guest(&id(number), false, force));
    assert_eq!(ask(6, false), Err(code::NOT_READY));
    assert_eq!(ask(7, false), Err(code::LOCKED));
    assert_eq!(ask(7, true), Ok(()));
    assert_eq!(ask(1, false), Ok(()));
    assert_eq!(ask(1, false), Err(code::IN_PROGRESS));
    assert_eq!(ask(5, false), Ok(()));
    pass(&host, LONG);
    assert_eq!(state(&host, 1), WinState::Off);
    assert_eq!(state(&host, 7), WinState::Off);
    assert_eq!(state(&host, 5), WinState::Running, "a deaf guest stays");
}

#[test]
fn saving_pausing_and_resetting() {
    let host = bench();
    request(&host, 1, Request::Offline).unwrap();
    assert_eq!(state(&host, 1), WinState::Saving);
    pass(&host, Duration::from_secs(5));
    assert_eq!(state(&host, 1), WinState::Saved);
    request(&host, 1, Request::Enabled).unwrap();
    pass(&host, Duration::from_secs(5));
    assert_eq!(state(&host, 1), WinState::Running);
    request(&host, 1, Request::Quiesce).unwrap();
    assert_eq!(state(&host, 1), WinState::Pausing);
    pass(&host, Duration::from_secs(1));
    assert_eq!(state(&host, 1), WinState::Paused);
    request(&host, 1, Request::Enabled).unwrap();
    assert_eq!(state(&host, 1), WinState::Resuming);
    pass(&host, Duration::from_secs(1));
    let before = host.world(|world| world.vm(&id(1)).unwrap().uptime_ms(world.t()));
    request(&host, 1, Request::Reset).unwrap();
    assert_eq!(state(&host, 1), WinState::Reset);
    pass(&host, Duration::from_secs(1));
    let after = host.world(|world| world.vm(&id(1)).unwrap().uptime_ms(world.t()));
    assert!(after < before, "{after} after {before}");
}

#[test]
fn a_guest_that_restarts_begins_anew() {
    let host = bench();
    pass(&host, Duration::from_secs(5));
    let up = || host.world(|world| world.vm(&id(1)).unwrap().uptime_ms(world.t()));
    let before = up();
    let asked = host.world(|world| world.ask_guest(&id(1), true, false));
    assert!(asked.is_ok(), "{asked:?}");
    pass(&host, Duration::from_secs(15));
    assert_eq!(state(&host, 1), WinState::Running);
    assert!(up() < before, "{} after {before}", up());
}

#[test]
fn a_critical_vm_does_not_start_and_its_job_says_why() {
    let host = bench();
    let job = request(&host, 4, Request::Enabled).unwrap();
    pass(&host, Duration::from_secs(2));
    let (state, code, text) = host.world(|world| {
        let job = world.job(&job).unwrap();
        let t = world.t();
        (job.state(t), job.error_code(t), job.error_text(t))
    });
    assert_eq!((state, code), (job::EXCEPTION, 32788));
    assert!(
        text.as_text().unwrap().contains("error code '32788'"),
        "{text:?}"
    );
}

#[test]
fn errors_are_provoked_at_once_or_in_the_job() {
    let host = bench();
    let control = control(&host);
    let provoke = |error, at_once| {
        control.provoke(Provocation {
            on: "RequestStateChange".to_owned(),
            error,
            times: Some(1),
            at_once,
        });
    };
    provoke(Situation::Denied, false);
    assert_eq!(request(&host, 2, Request::Enabled), Err(32769));
    provoke(Situation::OutOfMemory, true);
    assert_eq!(request(&host, 2, Request::Enabled), Err(32778));
    provoke(Situation::OutOfMemory, false);
    let job = request(&host, 2, Request::Enabled).unwrap();
    pass(&host, Duration::from_secs(2));
    assert_eq!(job_state(&host, &job), Some(job::EXCEPTION));
    assert_eq!(state(&host, 2), WinState::Off);
    request(&host, 2, Request::Enabled).unwrap();
    pass(&host, Duration::from_secs(4));
    assert_eq!(state(&host, 2), WinState::Running);
}

#[test]
fn a_clean_job_can_mean_that_nothing_changed() {
    let host = bench();
    let set = |number: u8| {
        host.world(|world| {
            world.modify_settings(&id(number), &|settings| {
                settings.vcpus = 8;
                settings.start_action = 4;
            })
        })
        .unwrap()
    };
    let settings = |number: u8| {
        host.world(|world| {
            let settings = world.vm(&id(number)).unwrap().settings().clone();
            (settings.vcpus, settings.start_action)
        })
    };
    let job = set(3);
    set(2);
    pass(&host, Duration::from_secs(1));
    assert_eq!(job_state(&host, &job), Some(job::COMPLETED));
    assert_eq!(settings(3), (2, 4), "the processors of a saved VM stay");
    assert_eq!(settings(2), (8, 4));
}

#[test]
fn cmdlets_read_settings_late() {
    let host = bench();
    host.world(|world| world.modify_settings(&id(2), &|settings| settings.start_action = 4))
        .unwrap();
    let shown = |host: &WinHost| {
        host.world(|world| {
            let vm = world.vm(&id(2)).unwrap();
            (
                vm.settings().start_action,
                vm.shown_settings(world.t()).start_action,
            )
        })
    };
    assert_eq!(shown(&host), (4, 3));
    pass(&host, Duration::from_secs(2));
    assert_eq!(shown(&host), (4, 4));
}

#[test]
fn checkpoints_grow_into_a_tree_and_shrink_again() {
    let host = bench();
    let create = |name: &str| {
        let made = host.world(|world| world.create_checkpoint(&id(2), Some(name.to_owned())));
        pass(&host, Duration::from_secs(4));
        made.unwrap().0
    };
    let first = create("first");
    let second = create("second");
    let apply = |at: &str| host.world(|world| world.apply_checkpoint(&id(2), at));
    apply(&first).unwrap();
    pass(&host, Duration::from_secs(4));
    let third = create("third");
    host.world(|world| {
        let vm = world.vm(&id(2)).unwrap();
        assert_eq!(
            vm.checkpoint(&second).unwrap().parent.as_deref(),
            Some(&*first)
        );
        assert_eq!(
            vm.checkpoint(&third).unwrap().parent.as_deref(),
            Some(&*first)
        );
        assert_eq!(vm.plan.current.as_deref(), Some(&*third));
        let chain = vm.disk_chain(&vm.plan.disks[0], vm.plan.current.as_deref());
        assert_eq!(chain.len(), 3);
        assert!(chain[0].ends_with("avhdx") && chain[2].ends_with("off.vhdx"));
    });
    host.world(|world| world.delete_checkpoint(&id(2), &first, false))
        .unwrap();
    pass(&host, Duration::from_secs(4));
    host.world(|world| {
        let vm = world.vm(&id(2)).unwrap();
        assert_eq!(vm.plan.checkpoints.len(), 2);
        assert_eq!(vm.checkpoint(&third).unwrap().parent, None);
    });
    request(&host, 2, Request::Enabled).unwrap();
    pass(&host, Duration::from_secs(4));
    assert_eq!(
        apply(&second),
        Err(code::INVALID_STATE),
        "not while it runs"
    );
}

#[test]
fn what_somebody_else_does_ends_jobs() {
    let host = bench();
    let control = control(&host);
    let job = request(&host, 2, Request::Enabled).unwrap();
    pass(&host, MOMENT);
    control.set_state("off", "paused").unwrap();
    assert_eq!(job_state(&host, &job), Some(job::TERMINATED));
    pass(&host, LONG);
    assert_eq!(state(&host, 2), WinState::Paused, "the start is forgotten");
}

#[test]
fn a_restarted_service_is_away_for_a_while_and_forgets_jobs() {
    let host = bench();
    let control = control(&host);
    let job = request(&host, 2, Request::Enabled).unwrap();
    control.restart_service();
    assert!(!control.service_runs());
    assert_eq!(job_state(&host, &job), None);
    pass(&host, Duration::from_secs(7));
    assert!(control.service_runs());
    assert_eq!(
        state(&host, 2),
        WinState::Running,
        "VMs do not need it to run"
    );
}

#[test]
fn restless_vms_change_by_themselves() {
    let host = host_with(
        "",
        "[[host.vm]]\nname = \"r\"\nid = \"0a000000-0000-4000-8000-000000000001\"\nrestless_s = 10\n",
    );
    assert_eq!(state(&host, 1), WinState::Running);
    pass(&host, Duration::from_secs(15));
    assert_eq!(state(&host, 1), WinState::Off);
    pass(&host, Duration::from_secs(16));
    assert_ne!(state(&host, 1), WinState::Off);
}
