//! `--serve`: opens the accounts and the server's vault, listens, and ends everything in order.
//!
//! ```text
//! signal -> stop accepting, end event streams and waits -> requests end -> operations end or are
//! marked unknown -> audit logs flushed -> exit 0
//! ```

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;

use super::first_key::FirstKeyFile;
use super::fleets::{FleetParts, ServedFleets};
use super::harden;
use super::signals;
use super::{Surroundings, compose, demo};
use crate::accounts::{Accounts, IssuedKey};
use crate::audit::AuditOptions;
use crate::cli::ServeArgs;
use crate::config::ServeConfig;
use crate::config::keys::network;
use crate::domain::error_kind::{ErrorKind, ExitCode, Failure};
use crate::domain::inventory::FleetSnapshot;
use crate::domain::secret::SecretText;
use crate::domain::vm::PowerState;
use crate::fleet::FleetHandle;
use crate::manage::passphrase::PassphraseSource;
use crate::manage::served;
use crate::private_file;
use crate::profile::{Profile, ProfileError};
use crate::report::Complaint;
use crate::serve::denials;
use crate::serve::dial_guard::DialGuard;
use crate::serve::{self, BotAccess, Listener, ServeState, TlsFiles};
use crate::task::Tasks;
use crate::transport::ssh::{DialRule, SshConnector, SshOptions};
use crate::vault::Vault;

/// Between two looks at what other processes did to the accounts.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long the server's own tasks may take to notice that they are to end.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Of the grace, what is kept for recording what was cut as unknown and for closing links.
const SETTLE: Duration = Duration::from_secs(1);

/// How long the demo may take to show a VM that can be started.
const DEMO_PATIENCE: Duration = Duration::from_secs(15);

/// Open files beside the connections of clients: databases, logs, and links to hosts.
const OTHER_FILES: u64 = 2048;

/// Ceiling of a file with a key or a secret in bytes.
const MAX_SECRET: u64 = 4096;

pub(super) async fn run(
    around: &Surroundings,
    args: &ServeArgs,
    err: &mut dyn Write,
) -> Result<ExitCode, Complaint> {
    let config = Arc::new(configured(around, args)?);
    make_room(&config);
    let front = Tasks::new();
    let signals = signals::listen(&front);
    // All that may fail goes before the first administrator's key, which is told once the server answers.
    let listener = listener(&config, args)?;
    check_registration(&config, &listener)?;
    let bot = bot(around, &config)?;
    let opened = open(around, args.first_key_file.as_deref()).await?;
    let addresses = listener.addresses();
    let (has_tls, first) = (listener.has_tls(), opened.first.as_ref());
    let state = ServeState::new(
        opened.accounts.clone(),
        Arc::new(ServedFleets::new(opened.parts.clone())),
        Arc::clone(&config),
        around.clock.clone(),
        &front,
    )
    .with_bot(bot)
    .listening_on(addresses.clone(), !has_tls);
    let app = serve::router(state.clone());
    let running = serve::serve(listener, app, &state);
    let greeting = Greeting {
        base: base(&addresses, has_tls),
        profile: &opened.profile,
        first,
        kept_in: args.first_key_file.as_deref(),
    };
    if around.globals.demo {
        // A demo is looked at at once: its hosts need not wait for the first request.
        let fleet = state.tenants.fleet(&opened.profile).await?;
        let vm = tokio::select! {
            vm = stopped_vm(&fleet) => vm,
            () = signals.end.cancelled() => None,
        };
        greeting.demo(err, vm.as_ref());
    } else {
        greeting.usual(err);
    }
    drop(front.spawn("accounts", follow_accounts(state.clone())));
    let (tenants, stop) = (state.tenants.clone(), state.stop.clone());
    drop(front.spawn("resume", async move {
        tokio::select! {
            () = tenants.resume() => {}
            () = stop.cancelled() => {}
        }
    }));
    tell_manager(&[NotifyState::Ready]);
    signals.end.cancelled().await;
    tell_manager(&[NotifyState::Stopping]);
    let ending = end(running, &state, &config);
    let left = tokio::select! {
        left = ending => left,
        () = signals.now.cancelled() => 0,
    };
    if left > 0 {
        let what = "operations were still under way; the audit log has them as unknown";
        drop(writeln!(err, "{left} {what}"));
    }
    front.cancel();
    front.wait(LAST_WORDS).await;
    if let Some(demo) = opened.demo {
        demo.tasks.cancel();
        demo.tasks.wait(LAST_WORDS).await;
        drop(demo.folder);
    }
    Ok(ExitCode::Done)
}

/// Sees to it that every connection that may come can have a file.
fn make_room(config: &ServeConfig) {
    let wanted = u64::from(config.limit.connections) + OTHER_FILES;
    match harden::open_files(wanted) {
        Ok(reached) if reached < wanted => {
            tracing::warn!(
                reached,
                wanted,
                "fewer files may be open than `serve.limit.connections` may need; raise LimitNOFILE or `ulimit -Hn`"
            );
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "could not ask for more open files"),
    }
}

/// Ends everything within the grace; returns how many operations were left as unknown.
async fn end(running: serve::Running, state: &ServeState, config: &ServeConfig) -> usize {
    let until = tokio::time::Instant::now() + config.grace;
    state.stop.cancel();
    running.stop(config.grace / 2).await;
    denials::tell(state, true).await;
    let rest = until.saturating_duration_since(tokio::time::Instant::now());
    let settle = SETTLE.min(config.grace / 5);
    let closing = state.tenants.close_all(rest.saturating_sub(settle));
    tokio::time::timeout_at(until, closing)
        .await
        .unwrap_or_else(|_late| {
            // Whatever is not written by now is closed as unknown at the next start.
            tracing::warn!("links to hosts that do not answer were left without a farewell");
            0
        })
}

/// What was opened before the server answers.
struct Opened {
    accounts: Accounts,
    parts: FleetParts,
    /// The profile that the first administrator works in.
    profile: String,
    /// The first administrator's key, when it was made just now.
    first: Option<IssuedKey>,
    demo: Option<OpenDemo>,
}

struct OpenDemo {
    tasks: Tasks,
    folder: demo::ThrowAway,
}

async fn open(around: &Surroundings, first_key_file: Option<&Path>) -> Result<Opened, Complaint> {
    let (root, server, profile, demo) = if around.globals.demo {
        let tasks = Tasks::new();
        let (profile, folder) = demo::start(&around.clock, &tasks)
            .await
            .map_err(Complaint::from)?;
        let root = folder.path().to_owned();
        let server = root.join("server");
        (root, server, profile, Some(OpenDemo { tasks, folder }))
    } else {
        let profile = default_profile(around).await?;
        (around.profiles(), around.paths.server(), profile, None)
    };
    let accounts = Accounts::open(&server, around.clock.clone())
        .await
        .map_err(|error| Complaint::of(&error))?;
    let vault = open_vault(around, &accounts, demo.is_some()).await?;
    let file = match first_key_file {
        Some(path) => FirstKeyFile::prepare(&accounts, path).await?,
        None => None,
    };
    let first = accounts.bootstrap(profile.name().as_str()).await;
    let made = first.as_ref().ok().and_then(Option::as_ref);
    // A key that cannot be kept is told after the profile is granted: the next start finds the administrator, and
    // would not grant it.
    let kept = file.map_or(Ok(()), |file| file.keep(made.map(|(_, key)| key)));
    let first = first.map_err(|error| Complaint::of(&error))?;
    if first.is_some() || demo.is_some() {
        // Starting the server in a profile is what grants it, without its secrets.
        accounts
            .grant(profile.name().as_str(), profile.id(), None, false)
            .await
            .map_err(|error| Complaint::of(&error))?;
    }
    kept?;
    let parts = parts(around, root, accounts.clone(), vault, demo.is_some());
    Ok(Opened {
        accounts,
        parts,
        profile: profile.name().as_str().to_owned(),
        first: first.map(|(_, key)| key),
        demo,
    })
}

/// Opens the server's vault. A person is asked only for a passphrase that there is already.
async fn open_vault(
    around: &Surroundings,
    accounts: &Accounts,
    demo: bool,
) -> Result<Vault, Complaint> {
    let sealed = accounts.identity().await;
    let sealed = sealed.map_err(|error| Complaint::of(&error))?.is_some();
    let asked = || (around.interactive && sealed && !demo).then_some(PassphraseSource::Prompt);
    if let Some(source) = passphrase(around, demo).or_else(asked) {
        return unlock(accounts, source).await;
    }
    if sealed {
        tracing::warn!("no passphrase was given: hosts with sealed credentials stay unreachable");
    }
    Ok(Vault::new(None))
}

/// Refuses to let anybody make users where their new keys could be read on the way.
fn check_registration(config: &ServeConfig, listener: &Listener) -> Result<(), Complaint> {
    let addresses = listener.addresses();
    let loopback = addresses.iter().all(|address| address.ip().is_loopback());
    let safe = loopback || listener.has_tls() || !config.trusted_proxies.is_empty();
    if safe || !config.compat.open_registration {
        return Ok(());
    }
    let why = "`serve.compat.open_registration` would hand out keys in the clear to anybody";
    Err(Failure::new(ErrorKind::Config, why)
        .with_hint("give TLS, listen on 127.0.0.1, or name the proxy in `serve.trusted_proxies`")
        .into())
}

/// Opens the profile in use; one that nobody named is made when it is not there yet.
async fn default_profile(around: &Surroundings) -> Result<Profile, Complaint> {
    let (name, named) = around.profile()?;
    let opened = match Profile::open(&around.profiles(), &name).await {
        Err(ProfileError::NotFound { .. }) if !named => {
            Profile::create(&around.profiles(), &name).await
        }
        opened => opened,
    };
    opened.map_err(|error| Complaint::of(&error))
}

fn parts(
    around: &Surroundings,
    root: std::path::PathBuf,
    accounts: Accounts,
    vault: Vault,
    demo: bool,
) -> FleetParts {
    let config = &around.loaded.config;
    let ssh = |agent_socket| {
        SshConnector::new(SshOptions {
            connect_timeout: config.ssh.connect_timeout,
            auth_timeout: config.ssh.auth_timeout,
            keepalive: config.ssh.keepalive,
            agent_socket,
            max_handshakes: compose::handshakes(around),
        })
    };
    let guard = DialGuard::of(&config.serve, []);
    let rule = DialRule::new(move |address| guard.check(address).is_ok());
    FleetParts {
        root,
        accounts,
        vault,
        connector: Arc::new(ssh(around.agent_socket().filter(|_| !demo))),
        strangers: Arc::new(ssh(None).guarded(rule)),
        read_within: config.poll.deadline,
        policy: config.policy.clone().into(),
        read_only: around.globals.read_only,
        clock: around.clock.clone(),
        options: compose::fleet_options(around, demo),
        audit: AuditOptions {
            rotate_bytes: config.audit.rotate_bytes,
        },
        hooks: config.hooks.clone().into(),
    }
}

/// Says where the server's passphrase comes from. Nobody is asked at a terminal unless there is one.
fn passphrase(around: &Surroundings, demo: bool) -> Option<PassphraseSource> {
    if demo {
        return None;
    }
    let credential = around
        .environment
        .credentials_directory()
        .map(|dir| dir.join("vmdeck-passphrase"))
        .filter(|path| path.exists())
        .map(PassphraseSource::Credential);
    match around.passphrase() {
        Some(PassphraseSource::Prompt) | None => credential,
        given => given,
    }
}

async fn unlock(accounts: &Accounts, source: PassphraseSource) -> Result<Vault, Complaint> {
    let read = tokio::task::spawn_blocking(move || source.read("Passphrase of the server: "));
    let read = read.await.map_err(|_panicked| {
        Complaint::from(Failure::new(
            ErrorKind::Internal,
            "the passphrase could not be read",
        ))
    })?;
    let passphrase = read.map_err(|error| Complaint::of(&error))?;
    served::open_server_vault(accounts, Some(passphrase))
        .await
        .map_err(Complaint::from)
}

/// Settles where to listen: argument, then the older portal's variables, then the configuration.
fn configured(around: &Surroundings, args: &ServeArgs) -> Result<ServeConfig, Complaint> {
    let mut config = around.loaded.config.serve.clone();
    let environment = &around.environment;
    let set = around.loaded.origins.contains_key("serve.listen");
    let older = (environment.portal_host(), environment.portal_port());
    if let Some(listen) = args.listen {
        config.listen = listen;
    } else if !set && (older.0.is_some() || older.1.is_some()) {
        let host = older.0.unwrap_or_else(|| "0.0.0.0".to_owned());
        let port = older.1.unwrap_or_else(|| "8000".to_owned());
        let ip: Option<IpAddr> = if host.eq_ignore_ascii_case("localhost") {
            Some(std::net::Ipv4Addr::LOCALHOST.into())
        } else {
            host.parse().ok()
        };
        let address = ip.zip(port.parse::<u16>().ok()).map(SocketAddr::from);
        config.listen = address.ok_or_else(|| {
            Failure::new(
                ErrorKind::Config,
                "MANAGEMENT_HOST and MANAGEMENT_PORT are no address and port",
            )
            .with_hint("set them like 127.0.0.1 and 8000, or use `--listen ADDRESS:PORT`")
        })?;
    }
    if let Some(path) = &args.tls_certificate {
        config.tls_certificate = Some(path.clone());
    }
    if let Some(path) = &args.tls_key {
        config.tls_key = Some(path.clone());
    }
    Ok(config)
}

fn listener(config: &ServeConfig, args: &ServeArgs) -> Result<Listener, Complaint> {
    let files = match (&config.tls_certificate, &config.tls_key) {
        (Some(certificate), Some(key)) => Some(TlsFiles {
            certificate: certificate.clone(),
            key: key.clone(),
            ocsp: config.tls_ocsp.clone(),
        }),
        (None, None) => None,
        _ => {
            let why = "TLS needs both `serve.tls_certificate` and `serve.tls_key`";
            return Err(Failure::new(ErrorKind::Config, why)
                .with_hint("set the other one as well, or neither")
                .into());
        }
    };
    let handed = handed_sockets().map_err(|error| {
        Complaint::from(Failure::new(
            ErrorKind::Config,
            format!("could not use the socket that was handed over: {error}"),
        ))
    })?;
    let opened = if handed.is_empty() {
        Listener::bind(config.listen, files.as_ref(), args.insecure_plaintext)
    } else {
        Listener::adopt(handed, files.as_ref(), args.insecure_plaintext)
    };
    opened.map_err(|error| Complaint::of(&error))
}

/// Takes the sockets over that systemd opened (`LISTEN_FDS`, see `sd_listen_fds(3)`). Asking the system
/// for a copy of a descriptor by its number needs no unsafe code.
#[cfg(target_os = "linux")]
fn handed_sockets() -> std::io::Result<Vec<std::net::TcpListener>> {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
    let numbers: Vec<i32> = match sd_notify::listen_fds() {
        Ok(numbers) => numbers.collect(),
        // Nothing was handed over.
        Err(_) => return Ok(Vec::new()),
    };
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let ourselves = pidfd_open(getpid(), PidfdFlags::empty())?;
    numbers
        .into_iter()
        .map(|number| {
            let copy: OwnedFd = pidfd_getfd(&ourselves, number, PidfdGetfdFlags::empty())?;
            Ok(std::net::TcpListener::from(copy))
        })
        .collect()
}

#[cfg(not(target_os = "linux"))]
fn handed_sockets() -> std::io::Result<Vec<std::net::TcpListener>> {
    Ok(Vec::new())
}

fn tell_manager(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "no service manager was told");
    }
}

/// Says who may use the bot contract, by the configuration or by the older program's variables.
fn bot(around: &Surroundings, config: &ServeConfig) -> Result<Option<BotAccess>, Complaint> {
    let environment = &around.environment;
    let from_file = |path: &Path| secret_file(path);
    let api_key = match &config.bot.api_key_file {
        Some(path) => Some(from_file(path)?),
        None => environment.bot_api_key(),
    };
    let Some(api_key) = api_key else {
        return Ok(None);
    };
    let hmac_secret = match &config.bot.hmac_secret_file {
        Some(path) => Some(from_file(path)?),
        None => environment.bot_hmac_secret(),
    };
    let mut allow = config.bot.allow.clone();
    if allow.is_empty()
        && let Some(list) = environment.bot_allow()
    {
        for part in list
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            allow.push(network(part).ok_or_else(|| {
                Failure::new(
                    ErrorKind::Config,
                    "ALLOW_IP holds something that is no address",
                )
                .with_hint("write addresses or networks with commas between them")
            })?);
        }
    }
    let profile = if around.globals.demo {
        "demo".to_owned()
    } else {
        config.bot.profile.clone()
    };
    Ok(Some(BotAccess {
        profile,
        api_key,
        hmac_secret,
        allow,
    }))
}

fn secret_file(path: &Path) -> Result<SecretText, Complaint> {
    let bytes =
        private_file::read_secret(path, MAX_SECRET).map_err(|error| Complaint::of(&error))?;
    let text = std::str::from_utf8(&bytes).map(str::trim_end).ok();
    let text = text.filter(|text| !text.is_empty()).ok_or_else(|| {
        Failure::new(
            ErrorKind::Config,
            format!("{} holds no text", path.display()),
        )
    })?;
    Ok(SecretText::new(text.to_owned()))
}

/// Ends the fleets of profiles that another process has taken back, and tells what was counted.
async fn follow_accounts(state: ServeState) {
    let mut seen = state.accounts.data_version().await.ok();
    loop {
        tokio::select! {
            () = state.stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        denials::tell(&state, false).await;
        let now = state.accounts.data_version().await.ok();
        if now != seen {
            seen = now;
            state.accounts.follow();
            state.tenants.close_ungranted(state.config.grace).await;
        }
    }
}

fn base(addresses: &[SocketAddr], has_tls: bool) -> String {
    let scheme = if has_tls { "https" } else { "http" };
    let address = addresses.first().map(SocketAddr::to_string);
    format!("{scheme}://{}", address.unwrap_or_default())
}

/// What is said once the server answers; at the first start also the one thing that is never shown
/// again.
struct Greeting<'a> {
    base: String,
    profile: &'a str,
    first: Option<&'a IssuedKey>,
    /// The file that it was put into, and is not printed therefore.
    kept_in: Option<&'a Path>,
}

impl Greeting<'_> {
    fn usual(&self, err: &mut dyn Write) {
        let mut lines = vec![format!("vmdeck serves on {}", self.base)];
        if let (Some(_), Some(path)) = (self.first, self.kept_in) {
            lines.push(format!(
                "The first administrator's API key, for profile {}, is in {}; take it, and remove the file.",
                self.profile,
                path.display()
            ));
        } else if let Some(key) = self.first {
            lines.push(format!(
                "The first administrator's API key, for profile {}; it is shown once and kept nowhere:",
                self.profile
            ));
            lines.push(format!("  {}", key.token.expose()));
            lines
                .push("`vmdeck user rotate admin` makes a new one, should it get lost.".to_owned());
        }
        say(err, &lines);
    }

    fn demo(&self, err: &mut dyn Write, vm: Option<&(String, String)>) {
        let mut lines = vec![format!("vmdeck serves a demo on {}", self.base)];
        if let Some(key) = self.first {
            lines.extend(demo_lines(&self.base, key.token.expose(), vm));
        }
        say(err, &lines);
    }
}

fn say(err: &mut dyn Write, lines: &[String]) {
    for line in lines {
        // Nobody is left to tell when this fails.
        drop(writeln!(err, "{line}"));
    }
}

/// Waits until a stopped VM of the demo is there that may be started, and returns its host's name and
/// its id.
async fn stopped_vm(fleet: &FleetHandle) -> Option<(String, String)> {
    let find = |state: &FleetSnapshot| {
        let hosts = state.hosts.iter();
        hosts
            .filter(|host| !host.from_cache && !host.spec.read_only)
            .flat_map(|host| host.vms().iter().map(move |vm| (host, vm)))
            .find(|(_, vm)| vm.state == PowerState::Stopped)
            .map(|(host, vm)| (host.spec.name.to_string(), vm.id.to_string()))
    };
    let seen = fleet.wait_until(|state| find(state).is_some());
    let seen = tokio::time::timeout(DEMO_PATIENCE, seen).await.ok()??;
    find(&seen)
}

fn demo_lines(base: &str, token: &str, vm: Option<&(String, String)>) -> Vec<String> {
    let bearer = format!("-H 'Authorization: Bearer {token}'");
    let mut lines = vec![
        format!("A ready key: {token}"),
        "Paste one of these:".to_owned(),
        format!("  curl -s {bearer} '{base}/v1/vms?filter=state:stopped'"),
    ];
    if let Some((host, id)) = vm {
        lines.push(format!(
            "  curl -s {bearer} -X POST '{base}/v1/vms/{host}/{id}/actions/start?wait=20'"
        ));
    }
    lines.push(format!("  curl -sN {bearer} '{base}/v1/events'"));
    lines.push(format!("Read the API in a browser: {base}/v1/docs"));
    lines
}
