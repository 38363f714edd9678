//! What every driver must do about a definition that was written by hand: take it and keep it, with its passwords,
//! or say clearly that there is none.

use vmdeck::domain::definition::{DefineRequest, DefinitionText, KEPT};
use vmdeck::domain::error_kind::{Classify, ErrorKind};
use vmdeck::domain::host::HypervisorKind;
use vmdeck::domain::inventory::Scope;
use vmdeck::domain::vm::{PowerState, VmId};
use vmdeck::hypervisor::{Drivers, Hypervisor, HypervisorError, ProgressSink};

use crate::driver_suite::{Bench, drivers, open};

/// Writes another definition as the program would: from what its host tells now.
async fn define(
    bench: &dyn Bench,
    driver: &dyn Hypervisor,
    change: impl FnOnce(&str) -> String,
) -> Result<DefineRequest, HypervisorError> {
    let vm = bench.deaf();
    let was = driver.definition(&vm).await?;
    let wanted = DefinitionText::new(&change(was.as_str()));
    let request = DefineRequest::new(was, wanted, PowerState::Stopped).expect("a change");
    let action = request.clone().into();
    let commands = drivers().commands(bench.kind(), &bench.spec(), &vm, &action)?;
    driver.perform(&commands, &ProgressSink::unheard()).await?;
    Ok(request)
}

fn with(text: &str, new: &str) -> String {
    text.replace("</uuid>\n", &format!("</uuid>\n  {new}\n"))
}

/// A definition is read, written and read back; what is refused changes nothing.
pub(crate) async fn takes_definitions(bench: &dyn Bench) {
    let driver = open(bench).await;
    let driver = driver.as_ref();
    driver.inventory(Scope::Full).await.expect("an inventory");
    let vm = bench.deaf();
    if bench.kind() == HypervisorKind::HyperV {
        let error = driver.definition(&vm).await.expect_err("none");
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains("it keeps none"), "{error}");
        return driver.close().await;
    }
    let before = driver.definition(&vm).await.expect("a definition");
    // Words that mean something to XML, a shell and virsh; not all of them ASCII.
    let title = "<title>it&apos;s; $(id) &amp; na\u{ef}ve \u{2603}</title>";
    let request = define(bench, driver, |text| with(text, title)).await;
    let request = request.expect("a change");
    let after = driver.definition(&vm).await.expect("a definition");
    assert_eq!(request.kept_otherwise(&after), None, "{}", after.as_str());
    assert!(request.difference(&after).is_some());

    let wrong = define(bench, driver, |text| {
        text.replace("<vcpu placement='static'>", "<vcpu placement='static'>x")
    });
    let error = wrong.await.expect_err("no number");
    assert_eq!(error.kind(), ErrorKind::Remote, "{error}");
    assert!(error.to_string().contains("schema"), "{error}");
    let odd = define(bench, driver, |text| text.replace("</domain>", "</domian>")).await;
    assert_eq!(odd.expect_err("no XML").kind(), ErrorKind::Usage);
    assert_eq!(driver.definition(&vm).await.expect("a definition"), after);

    let back = define(bench, driver, |_| before.as_str().to_owned()).await;
    back.expect("a change");
    assert_eq!(driver.definition(&vm).await.expect("a definition"), before);
    let nobody = VmId::parse("00000000-0000-4000-8000-000000000001").unwrap();
    assert!(driver.definition(&nobody).await.is_err());
    driver.close().await;
}

/// Passwords of displays stay where they are although nobody gets to see them; one that was typed is taken.
pub(crate) async fn keeps_passwords(bench: &dyn Bench, secrets: impl Fn(&VmId) -> String) {
    let driver = open(bench).await;
    let driver = driver.as_ref();
    let vm = bench.deaf();
    let typed = define(bench, driver, |text| {
        let display =
            "<graphics type='vnc' port='-1' autoport='yes' passwd='s3cr&apos;t'/>\n  </devices>";
        text.replace("</devices>", display)
    });
    let request = typed.await.expect("a change");
    assert!(!format!("{request:?}{}", request.diff().text()).contains("s3cr"));
    assert!(secrets(&vm).contains("passwd='s3cr&apos;t'"));
    let read = driver.definition(&vm).await.expect("a definition");
    assert!(
        read.as_str().contains(&format!("passwd='{KEPT}'")),
        "{}",
        read.as_str()
    );
    let other = define(bench, driver, |text| with(text, "<title>other</title>")).await;
    other.expect("a change");
    let now = secrets(&vm);
    assert!(
        now.contains("passwd='s3cr&apos;t'") && now.contains("<title>other"),
        "{now}"
    );
    driver.close().await;
}
