//! The definition of a VM in an editor: what opens it, what its end leads to, the difference in the plan.

use vmdeck::domain::definition::DefinitionText;
use vmdeck::domain::vm::VmId;
use vmdeck::tui::editor::{Draft, EditEnd, Edited, Lending};
use vmdeck::tui::effect::Local;
use vmdeck::tui::event::{Answer, Input};

use crate::harness::Screen;

/// What the fake engine says of every VM.
pub(crate) fn definition(vm: &VmId) -> DefinitionText {
    DefinitionText::new(&format!(
        "<domain type='kvm'>\n  <name>web-1</name>\n  <uuid>{vm}</uuid>\n  <memory unit='KiB'>4194304</memory>\n  \
         <vcpu placement='static'>2</vcpu>\n  <devices>\n    <graphics type='vnc' passwd='*** kept ***'/>\n  \
         </devices>\n</domain>\n"
    ))
}

/// Opens the editor on a VM; returns what it was given.
async fn opened(screen: &mut Screen) -> Draft {
    screen.keys("/ \"web-1\" enter O").await;
    match screen.local.pop() {
        Some(Local::Lend(Lending::Editor(draft))) => *draft,
        other => panic!("{other:?}"),
    }
}

/// The editor ends with another text.
async fn written(screen: &mut Screen, draft: Draft, from: &str, to: &str) {
    let text = draft.was.as_str().replace(from, to);
    let file = Some(std::path::PathBuf::from("/tmp/vmdeck-01234567/web.xml"));
    let edited = Edited {
        draft: Draft { file, ..draft },
        end: EditEnd::Written(DefinitionText::new(&text)),
    };
    screen
        .send(Input::Answer(Answer::Edited(Box::new(edited))))
        .await;
}

#[tokio::test]
async fn what_was_written_is_shown_as_a_difference_before_it_is_sent() {
    let mut screen = Screen::small((110, 34));
    let draft = opened(&mut screen).await;
    let more = "'>2</vcpu>\n  <title>\u{202e}shop</title>";
    written(&mut screen, draft, "'>2</vcpu>", more).await;
    insta::assert_snapshot!(screen.text());
    screen.keys("y").await;
    let asked = screen.asked();
    let submitted = asked.iter().find(|one| one.starts_with("submit"));
    assert!(
        submitted.is_some_and(|one| one.starts_with("submit edit (definition, +1 -0 lines) web-1")),
        "{asked:?}"
    );
    // The fake engine knows of no outcome: what came of it is not claimed, and the text is kept.
    let text = screen.text();
    assert!(
        text.contains("ended too long ago") && !text.contains("othing was changed"),
        "{text}"
    );
    assert!(text.contains("/tmp/vmdeck-01234567/web.xml"), "{text}");
}

#[tokio::test]
async fn a_long_difference_scrolls_and_leaving_it_says_where_the_text_is() {
    let mut screen = Screen::small((100, 24));
    let draft = opened(&mut screen).await;
    let many: Vec<String> = (0..60).map(|n| format!("<!-- {n} -->\n")).collect();
    let many = many.concat();
    written(&mut screen, draft, "</domain>", &format!("{many}</domain>")).await;
    assert!(!screen.text().contains("<!-- 59 -->"));
    for _ in 0..20 {
        screen.keys("pgdn").await;
    }
    assert!(screen.text().contains("<!-- 59 -->"), "{}", screen.text());
    screen.keys("esc").await;
    let text = screen.text();
    assert!(
        text.contains("kept in /tmp/vmdeck-01234567/web.xml"),
        "{text}"
    );
    let asked = screen.asked();
    assert!(
        !asked.iter().any(|one| one.starts_with("submit")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn text_that_cannot_be_meant_opens_the_editor_again_or_is_kept() {
    let mut screen = Screen::small((100, 24));
    let draft = opened(&mut screen).await;
    written(&mut screen, draft, "web-1</name>", "web-2</name>").await;
    let text = screen.text();
    assert!(
        text.contains("Open the editor again?") && text.contains("its name is web-2 now"),
        "{text}"
    );
    screen.keys("y").await;
    let Some(Local::Lend(Lending::Editor(draft))) = screen.local.pop() else {
        panic!("no editor");
    };
    let edited = Edited {
        draft: *draft,
        end: EditEnd::Unfit("it is empty".to_owned()),
    };
    screen
        .send(Input::Answer(Answer::Edited(Box::new(edited))))
        .await;
    let text = screen.text();
    assert!(text.contains("no definition: it is empty"), "{text}");
}

#[tokio::test]
async fn what_is_as_it_was_is_said_and_read_only_opens_nothing() {
    let mut screen = Screen::small((100, 24));
    let draft = opened(&mut screen).await;
    let edited = Edited {
        draft,
        end: EditEnd::Unchanged,
    };
    screen
        .send(Input::Answer(Answer::Edited(Box::new(edited))))
        .await;
    let text = screen.text();
    assert!(
        text.contains("the definition of web-1 is as it was"),
        "{text}"
    );
    let mut snapshot = vmdeck::testing::fleet::small();
    snapshot.read_only = true;
    let mut screen = Screen::new(snapshot, (100, 24));
    screen.keys("/ \"web-1\" enter O").await;
    assert!(screen.text().contains("read-only"), "{}", screen.text());
    assert!(screen.local.is_empty());
}
