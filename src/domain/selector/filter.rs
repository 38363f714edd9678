//! A filter as its users see it: text in, answers out. Must not know the grammar beyond its help rows.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::expr::{Dialect, Node};
use super::matching::{self, Row};
use super::parse;
use crate::domain::inventory::HostSnapshot;

/// Bytes a filter may have.
pub const MAX_FILTER_BYTES: usize = 1024;

/// A filter, ready to be asked about rows. The empty filter matches everything.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    root: Option<Node>,
}

/// Why a text is no filter, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct FilterError {
    /// Byte offset of the mistake in the text; always on a character boundary, at most its length.
    pub at: usize,
    /// What is wrong with it, and often what to write instead.
    pub message: String,
}

impl Filter {
    /// Reads a filter.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        parse::parse(text, Dialect::Vms).map(|root| Self { root })
    }

    /// Returns true when everything matches.
    pub const fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// Returns true when the row is one of those asked for.
    pub fn matches(&self, row: &Row<'_>) -> bool {
        self.root
            .as_ref()
            .is_none_or(|node| matching::decide(node, row) == Some(true))
    }

    /// Returns false when no VM of this host can match, whatever they are: such a host need not be
    /// asked.
    pub fn may_match_on(&self, host: &HostSnapshot) -> bool {
        self.root
            .as_ref()
            .is_none_or(|node| matching::decide_host(node, host) != Some(false))
    }

    /// Returns true when it compares a figure that takes two reads of a host to know.
    pub fn needs_rates(&self) -> bool {
        self.root.as_ref().is_some_and(Node::needs_rates)
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Filter {
    /// Prints a filter that reads back as the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root
            .as_ref()
            .map_or(Ok(()), |node| node.print(f, false))
    }
}

/// The grammar in rows of example and meaning, for help and documentation.
pub const SYNTAX: [(&str, &str); 15] = [
    (
        "web kvm1",
        "both words occur in name, host, address, tag or state",
    ),
    ("web*", "one of these begins with `web`"),
    (
        "~wb1",
        "the letters occur in this order in the name or host",
    ),
    (
        "/^web-\\d+$/",
        "regular expression over the same fields as words",
    ),
    (
        "\"two words\"",
        "literally, with blanks and special characters",
    ),
    ("!stopped", "not"),
    ("web|db", "one of them; binds tighter than the blank"),
    ("(web running)|prod", "parentheses group"),
    ("state:running|paused", "the state is one of these"),
    (
        "host:kvm* name: hv: tag: tier: id: ip:",
        "the whole field, `*` for any run of characters; `id:` takes the beginning",
    ),
    ("cpu>80 vcpu>=4", "processors: percent in use, number"),
    (
        "mem>90% mem>4G disk>100G",
        "memory and disk: share or size in use (K, M, G, T: binary)",
    ),
    (
        "up<1h age>30s snapage>30d",
        "time since start, since last read, age of the oldest VM snapshot",
    ),
    ("snap>3", "number of VM snapshots"),
    (
        "marked protected stale",
        "marks of the dashboard; rows too old to act on",
    ),
];

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::health::HostHealth;
    use crate::domain::host::{Endpoint, HostSpec, KindChoice};
    use crate::domain::units::{Bytes, Percent};
    use crate::domain::vm::{AddressSource, PowerState, Vm, VmAddress, VmFacts, VmId};

    fn host() -> HostSnapshot {
        let mut spec = HostSpec::new("kvm1".parse().unwrap(), Endpoint::new("node1.lan", 22));
        spec.tags = vec!["db".parse().unwrap(), "Blue".parse().unwrap()];
        spec.tier = Some("prod".parse().unwrap());
        spec.kind = KindChoice::Libvirt;
        let seen = "2026-01-01T00:00:00Z".parse().unwrap();
        HostSnapshot {
            spec: Arc::new(spec),
            health: HostHealth::Online,
            since: seen,
            capabilities: None,
            inventory: None,
            observed_at: Some(seen),
            from_cache: false,
            latency: None,
            tick: Duration::from_secs(2),
        }
    }

    fn vm() -> Vm {
        let id = VmId::parse("6c09bb55-d683-4da0-8931-c9bf705f6480").unwrap();
        let mut vm = Vm::new(id, "Web-1 (blue)".into(), PowerState::Running);
        vm.stats.cpu = Some(Percent::new(83.4));
        vm.stats.memory_used = Some(Bytes::from_mib(3500));
        vm.stats.memory_assigned = Some(Bytes::from_mib(4096));
        vm.stats.uptime = Some(Duration::from_secs(3599));
        vm.facts = Arc::new(VmFacts {
            addresses: Some(vec![VmAddress {
                ip: "10.0.3.17".parse().unwrap(),
                source: AddressSource::Agent,
            }]),
            ..VmFacts::default()
        });
        vm
    }

    fn matches(filter: &str) -> bool {
        let (host, vm) = (host(), vm());
        let row = Row {
            host: &host,
            vm: &vm,
            now: "2026-01-01T00:00:40Z".parse().unwrap(),
            marked: true,
            protected: false,
        };
        Filter::parse(filter).unwrap().matches(&row)
    }

    #[test]
    fn what_matches_and_what_does_not() {
        for (filter, expected) in [
            ("", true),
            ("  ", true),
            ("web", true),
            ("WEB kvm1", true),
            ("web kvm2", false),
            ("node1", true),
            ("10.0.3", true),
            ("blue", true),
            ("running", true),
            ("web*", true),
            ("eb*", false),
            ("*1*", true),
            ("~wb1", true),
            ("~1w", false),
            ("/^web-\\d/", true),
            ("/^eb/", false),
            ("!web", false),
            ("!nothing", true),
            ("!!web", true),
            ("nothing|web", true),
            ("nothing | web kvm2", false),
            ("(nothing kvm2)|web", true),
            ("\"(blue)\"", true),
            ("'web-1 ('", true),
            ("state:running|paused", true),
            ("state:stop*|paused", false),
            ("state=running", true),
            ("state!=running", false),
            ("STATE:Running", true),
            ("host:kvm*", true),
            ("host:kvm", false),
            ("hv:kvm hv:libvirt", true),
            ("hv:hyperv", false),
            ("tag:blue", true),
            ("tier:prod", true),
            ("name:\"web-1 (blue)\"", true),
            ("id:6C09bb", true),
            ("id:c09", false),
            ("ip:10.0.*", true),
            ("ip:10.0", false),
            ("cpu>80", true),
            ("cpu<80", false),
            ("cpu=83%", true),
            ("cpu!=83", false),
            ("mem>80%", true),
            ("mem<4G", true),
            ("mem>=4G", false),
            ("up<1h", true),
            ("up<59m", false),
            ("age>30s", true),
            ("age>1m", false),
            ("marked", true),
            ("protected", false),
            ("stale", true),
            ("\"marked\"", false),
            ("state:running|cpu<1", true),
            ("state:paused|cpu>80", true),
        ] {
            assert_eq!(matches(filter), expected, "{filter}");
        }
    }

    #[test]
    fn what_is_not_known_matches_nothing() {
        for filter in [
            "disk>1G",
            "disk<1G",
            "!disk>1G",
            "disk!=1G",
            "snap>0",
            "snap<9",
            "snap=0",
            "snapage>1s",
            "vcpu<9",
            "!(vcpu<9)",
        ] {
            assert!(!matches(filter), "{filter}");
        }
        assert!(matches("disk>1G|web"));
        assert!(!matches("disk>1G web"));
    }

    #[test]
    fn a_host_is_left_out_only_when_none_of_its_vms_can_match() {
        for (filter, expected) in [
            ("", true),
            ("web", true),
            ("host:kvm1 web", true),
            ("host:kvm2", false),
            ("host:kvm2|state:running", true),
            ("!host:kvm1", false),
            ("!kvm1", false),
            ("!web", true),
            ("tag:red cpu>3", false),
            ("hv:hyperv", false),
            ("tier:prod !marked", true),
        ] {
            let filter = Filter::parse(filter).unwrap();
            assert_eq!(filter.may_match_on(&host()), expected, "{filter}");
        }
        assert!(Filter::parse("web !(mem>3G|cpu>3)").unwrap().needs_rates());
        assert!(!Filter::parse("web mem>3G").unwrap().needs_rates());
    }

    #[test]
    fn mistakes_are_pointed_at() {
        for (filter, at, part) in [
            ("a (b", 2, "not closed"),
            ("a)", 1, "closes nothing"),
            ("()", 0, "between these parentheses"),
            ("a|", 2, "missing"),
            ("|a", 0, "before `|`"),
            ("a | | b", 4, "before `|`"),
            ("!", 1, "missing"),
            ("! a", 1, "missing"),
            ("~", 1, "missing"),
            ("/a", 0, "not closed"),
            ("//", 0, "empty"),
            ("x /(/", 2, "unclosed group"),
            ("\"a", 0, "quote is not closed"),
            ("\"\"", 0, "between these quotes"),
            ("state:", 6, "missing"),
            ("state:runing", 6, "no such state"),
            ("cpu:80", 0, "is compared"),
            ("cpu>", 4, "a percentage"),
            ("mem>90", 4, "mem>90% or mem>4G"),
            ("up<1x", 3, "a time"),
            ("cpu>80~", 6, "does not belong"),
            ("color:red", 0, "is no field"),
            ("size>3", 0, "is no field"),
            ("host>3", 0, "write host:"),
            ("é color:red", 3, "is no field"),
        ] {
            let error = Filter::parse(filter).unwrap_err();
            assert_eq!(error.at, at, "{filter}: {error}");
            assert!(error.message.contains(part), "{filter}: {error}");
        }
    }

    #[test]
    fn addresses_with_colons_are_words() {
        assert!(Filter::parse("fe80::1").is_ok());
        assert!(Filter::parse("abcd::1").is_ok());
        assert!(Filter::parse("10.0.0.1:22").is_ok());
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let deep = format!("{}a{}", "(".repeat(200), ")".repeat(200));
        assert!(Filter::parse(&deep).unwrap_err().message.contains("nested"));
        assert!(
            Filter::parse(&"!".repeat(900))
                .unwrap_err()
                .message
                .contains("nested")
        );
        assert!(
            Filter::parse(&"a".repeat(2000))
                .unwrap_err()
                .message
                .contains("at most")
        );
        assert!(
            Filter::parse("/(\\pL{500}){500}/")
                .unwrap_err()
                .message
                .contains("no regular")
        );
    }

    #[test]
    fn every_row_of_the_help_reads() {
        for (example, _) in SYNTAX {
            for word in example.split(' ').filter(|word| !word.ends_with(':')) {
                let quoted = example.starts_with(['"', '(']);
                let text = if quoted { example } else { word };
                assert!(Filter::parse(text).is_ok(), "{text}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "\\PC{0,60}|[a-z!|()~/:<>=\"'\\\\ *0-9%]{0,60}") {
            match Filter::parse(&text) {
                Ok(filter) => {
                    let printed = filter.to_string();
                    prop_assert_eq!(Filter::parse(&printed), Ok(filter), "{}", printed);
                }
                Err(error) => {
                    prop_assert!(text.is_char_boundary(error.at), "{:?}", error);
                }
            }
        }

        #[test]
        fn what_is_printed_reads_back_as_the_same(
            words in proptest::collection::vec(
                "web|!web|~wb|/a\\.b/|\"a b\"|state:running\\|paused|cpu>80|mem<=4G|marked|host:k\\*|id:6c|up<1h30m",
                1..6,
            ),
            joint in " | | ",
        ) {
            let text = words.join(&joint);
            let filter = Filter::parse(&text).unwrap();
            prop_assert_eq!(Filter::parse(&filter.to_string()), Ok(filter));
        }
    }
}
