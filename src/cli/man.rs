//! Owns `cutover man`: the manual pages, made of the same words as `--help`. Must not install them.

use super::arguments::Cli;
use super::console::Console;
use super::exit::{Exit, WrongUse};
use super::folder::{Place, ReportFolder};
use anyhow::Context;
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  cutover man | man -l -              the page of cutover itself
  cutover man watch | man -l -
  cutover man --dir man/man1          cutover.1, and one page a command";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The command whose page is wanted; without it the page of cutover itself
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    command: Option<String>,
    /// Write all pages into this folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub command: Option<String>,
    pub dir: Option<PathBuf>,
}

impl Arguments {
    pub fn settings(self) -> Settings {
        Settings { command: self.command, dir: self.dir }
    }
}

pub fn run(settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    // Fills in what every command takes, and gives each command its whole name.
    let mut whole = Cli::command();
    whole.build();
    let commands = || whole.get_subcommands().filter(|command| command.get_name() != "help");
    if let Some(dir) = &settings.dir {
        let folder = ReportFolder::create(&Place::Exact(dir.clone()), "man")?;
        for command in std::iter::once(&whole).chain(commands()) {
            folder.write(&format!("{}.1", file_stem(command)), &page(command)?)?;
        }
        console.result(format!("{}\n", dir.display()).as_bytes()).context("could not print the result")?;
        return Ok(Exit::Pass);
    }
    let wanted = match &settings.command {
        None => &whole,
        Some(name) => commands().find(|command| command.get_name() == name).ok_or_else(|| {
            let known: Vec<&str> = commands().map(Command::get_name).collect();
            WrongUse(format!("no command is named `{name}`; there are {}", known.join(", ")))
        })?,
    };
    console.result(&page(wanted)?).context("could not print the page")?;
    Ok(Exit::Pass)
}

/// `cutover`, `cutover-watch`.
fn file_stem(command: &Command) -> String {
    match command.get_name() {
        "cutover" => "cutover".into(),
        name => format!("cutover-{name}"),
    }
}

fn page(command: &Command) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    let title = file_stem(command);
    Man::new(command.clone()).title(title).render(&mut page).context("could not make the page")?;
    Ok(page)
}
