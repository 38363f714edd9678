//! The edge of the process: words in, two outputs, an exit code.

use std::process::ExitCode;

use anyhow::Context;

fn main() -> anyhow::Result<ExitCode> {
    vmdeck::app::harden().context("could not keep the process out of core dumps")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("could not start the program's threads")?;
    // The outputs are not locked for the whole run: the log writes to standard error as well.
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    let code = runtime.block_on(Box::pin(vmdeck::app::run(
        std::env::args_os(),
        &mut out,
        &mut err,
    )));
    // A blocked system call in the pool must not keep the process from ending.
    runtime.shutdown_background();
    Ok(ExitCode::from(code.code()))
}
