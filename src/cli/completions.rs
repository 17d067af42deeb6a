//! Owns `cutover completions`: what a shell needs to complete this command line. Must not install it.

use super::arguments::Cli;
use super::console::Console;
use super::exit::Exit;
use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

const EXAMPLES: &str = "\
Examples:
  cutover completions bash > ~/.local/share/bash-completion/completions/cutover
  cutover completions zsh > ~/.zfunc/_cutover
  cutover completions fish > ~/.config/fish/completions/cutover.fish";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// bash, elvish, fish, powershell or zsh
    #[arg(value_name = "SHELL", hide_possible_values = true)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    pub shell: Shell,
}

impl Arguments {
    pub fn settings(self) -> Settings {
        Settings { shell: self.shell }
    }
}

pub fn run(settings: Settings, console: &Console) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    generate(settings.shell, &mut Cli::command(), "cutover", &mut script);
    console.result(&script).context("could not print the script")?;
    Ok(Exit::Pass)
}
