//! Deadlines and capacities of a session, each with its reason.

use std::time::Duration;

use jiff::SignedDuration;

/// Connections being made at once over the whole fleet, where nobody has configured another number:
/// enough to fill the screen quickly, few enough not to look like an attack to a firewall nor to starve
/// the processor of key exchanges.
pub const HANDSHAKES: usize = 16;

/// Dialling and logging in over one hop, from when its turn has come. The transport has tighter deadlines
/// of its own (10 s and 20 s); this one only makes sure that a broken transport cannot hold a place for
/// ever.
pub const CONNECT_PER_HOP: Duration = Duration::from_secs(35);

/// Waiting for one's turn. Long enough for eighty hosts that hang to be given up first, eight at a time
/// after half a minute each; after that a person reads what the host waits for, and it lines up again.
pub const TURN: Duration = Duration::from_secs(300);

/// Finding out what is on the other side. The first PowerShell after a Windows host has started loads for
/// many seconds, and its driver waits 20 s.
pub const PROBE: Duration = Duration::from_secs(25);

/// Reading states and figures, where nobody has configured another time.
pub const READ_FAST: Duration = Duration::from_secs(10);

/// Reading everything may take so many times as long: the slow facts may ask agents inside VMs.
pub const READ_FULL_FACTOR: u32 = 3;

/// Added to the deadline of a read. A driver that has the same deadline gives up first, because it
/// knows whose fault the silence is.
pub const READ_GRACE: Duration = Duration::from_millis(500);

/// Reading one VM.
pub const DETAIL: Duration = Duration::from_secs(20);

/// A read that takes longer makes its host count as slow.
pub const SLOW_READ: Duration = Duration::from_secs(2);

/// Failed reads in a row after which the link counts as lost.
pub const FAILED_READS: u32 = 3;

/// Rest between two reads that were asked for while another was running: a flood of announcements
/// must not become a flood of commands.
pub const REST: Duration = Duration::from_millis(50);

/// How long to wait before the announcements of a host are opened again after they ended.
pub const HINTS_REOPEN: Duration = Duration::from_secs(30);

/// Commands of the fleet waiting at a session. A session takes them at once and lets them wait elsewhere,
/// so this is for a burst: of as many as front ends let wait for one host (the server's
/// `in_flight_per_host`, 64 unless configured) with room for what the fleet itself asks.
pub const COMMAND_QUEUE: usize = 128;

/// News of all sessions waiting at the fleet.
pub const UPDATE_QUEUE: usize = 256;

/// Reading storage and networks of one host: every volume and every VM is asked about.
pub const STORES: Duration = Duration::from_secs(60);

/// Details being read at once on one link. With one read, one stream of announcements and four
/// actions this stays within the ten sessions that sshd allows on one connection.
pub const DETAILS_AT_ONCE: usize = 2;

/// Commands remembered for one host.
pub const COMMAND_LOG: usize = 300;

/// How long a question that was answered stays among them when nothing repeats it. Each VM has questions of its
/// own, so that a large fleet would remember hours of them; what failed and what changed something stays.
pub const ANSWERED_KEPT: SignedDuration = SignedDuration::from_mins(15);

/// How long a question about a host key waits for a person; silence is a no. Long enough to compare a
/// fingerprint, short enough that nobody accepts in passing what was asked before lunch.
pub const KEY_QUESTION: Duration = Duration::from_secs(120);

/// Ending driver and link in order.
pub const CLOSE: Duration = Duration::from_secs(3);

/// Restarts remembered for one host; one per VM.
pub const RESTARTS: usize = 4096;
