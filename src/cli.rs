//! The command line: what was typed becomes settings, a verdict becomes an exit code, and files are
//! opened. The only room that reads the environment, and the only one that uses `anyhow`.
//!
//! Clap's types stop here; each command has one file, with its arguments, its settings and its body.

pub mod arguments;
pub mod backend;
pub mod baseline;
pub mod beside;
pub mod console;
pub mod evidence;
pub mod exit;
pub mod flag_file;
pub mod folder;
pub mod infer;
pub mod judging;
pub mod live;
pub mod live_run;
pub mod logging;
pub mod on_fail;
pub mod recorded;
pub mod recording;
pub mod results;
pub mod score;
pub mod standing;
pub mod store;

pub mod calendar;
pub mod completions;
pub mod demo;
pub mod diff;
pub mod doctor;
pub mod drill;
pub mod enable;
pub mod explain;
pub mod gate;
pub mod import;
pub mod init;
pub mod man;
pub mod plan;
pub mod replay;
pub mod report;
pub mod rollback;
pub mod serve;
pub mod session;
pub mod set_aside;
pub mod sign;
pub mod signing_key;
pub mod simulate;
pub mod status;
pub mod tap;
pub mod ui;
pub mod until_proven;
pub mod verify;
pub mod watch;
pub mod world;

use arguments::{Cli, Command};
use clap::Parser;
use console::Console;
use exit::Exit;

/// Parses, runs the command, and maps what came of it to an exit code (SPEC §7).
pub fn main() -> std::process::ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let console = Console::open(&cli.global);
    let done = logging::start(&cli.global, &console).and_then(|()| dispatch(cli.command, &console));
    match done {
        Ok(exit) => exit.code(),
        Err(error) => {
            console.error(&error);
            Exit::of_error(&error).code()
        }
    }
}

fn dispatch(command: Command, console: &Console) -> anyhow::Result<Exit> {
    match command {
        Command::Demo(arguments) => demo::run(arguments.settings(), console),
        Command::Watch(arguments) => watch::run(arguments.settings(), console),
        Command::Replay(arguments) => replay::run(arguments.settings(), console),
        Command::Gate(arguments) => gate::run(arguments.settings(), console),
        Command::Status(arguments) => status::run(&arguments.settings(), console),
        Command::Enable(arguments) => enable::run(&arguments.settings(), console),
        Command::Rollback(arguments) => rollback::run(&arguments.settings(), console),
        Command::SetAside(arguments) => set_aside::run(&arguments.settings(), console),
        Command::Sign(arguments) => sign::run(arguments.settings(), console),
        Command::Verify(arguments) => verify::run(&arguments.settings(), console),
        Command::Report(arguments) => report::run(&arguments.settings(), console),
        Command::Serve(arguments) => serve::run(arguments.settings(), console),
        Command::Simulate(arguments) => simulate::run(arguments.settings(), console),
        Command::Drill(arguments) => drill::run(arguments.settings(), console),
        Command::Import(arguments) => import::run(arguments.settings(), console),
        Command::Tap(arguments) => tap::run(arguments.settings(), console),
        Command::Diff(arguments) => diff::run(&arguments.settings(), console),
        Command::Doctor(arguments) => doctor::run(&arguments.settings(), console),
        Command::Init(arguments) => init::run(&arguments.settings(), console),
        Command::Explain(arguments) => explain::run(&arguments.settings(), console),
        Command::Plan(arguments) => plan::run(&arguments.settings(), console),
        Command::Calendar(arguments) => calendar::run(&arguments.settings(), console),
        Command::Completions(arguments) => completions::run(arguments.settings(), console),
        Command::Man(arguments) => man::run(&arguments.settings(), console),
    }
}

/// Help and version go to stdout and are no failure; anything else is wrong use.
fn usage(error: &clap::Error) -> std::process::ExitCode {
    // Nothing can be done, nor said, where the message itself cannot be written.
    let _ = error.print();
    if error.use_stderr() { Exit::WrongUse.code() } else { Exit::Pass.code() }
}
