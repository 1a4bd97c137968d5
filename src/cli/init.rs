//! `sweep init`: a commented spec for a question, asked in a few prompts or options.

use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;

use crate::cli::exit::ExitStatus;
use crate::cli::terminal;
use crate::commands::{DEFAULT_GPUS, Failure, InitRequest, write_output};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// File to write [default: NAME.toml, after the model]; `-` prints it
    file: Option<PathBuf>,
    /// Model to train: a name of `sweep list models`
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// GPUs to choose from, by commas [default: h100-sxm,b200]
    #[arg(long, value_name = "NAME[,NAME…]", value_delimiter = ',')]
    gpu: Vec<String>,
    /// Tokens of the whole training; samples of a model of images
    #[arg(long, value_name = "N", alias = "samples")]
    tokens: Option<String>,
    /// Samples per optimizer step [default: about 4 million tokens]
    #[arg(long, value_name = "N")]
    global_batch: Option<u32>,
    /// Longest time that the training may take: "60 days"
    #[arg(long, value_name = "TIME")]
    deadline: Option<String>,
    /// Most that it may cost: "700000 USD"
    #[arg(long, value_name = "MONEY")]
    budget: Option<String>,
    /// Most GPUs that it may use
    #[arg(long, value_name = "N")]
    gpus_max: Option<String>,
    /// Replace the file
    #[arg(long)]
    overwrite: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitStatus, Failure> {
    let drafted = request(args)?.draft()?;
    let path = match &args.file {
        Some(path) if path.as_os_str() == "-" => return terminal::print(&drafted.text),
        Some(path) => path.clone(),
        None => PathBuf::from(format!("{}.toml", drafted.name)),
    };
    let shown = path.display();
    if path.is_file() && !args.overwrite {
        return Err(Failure::usage(format!(
            "`{shown}` is there already; name another file, or replace it with --overwrite"
        )));
    }
    write_output(&path, drafted.text.as_bytes())?;
    terminal::print(&format!("wrote {shown}; next: sweep answer {shown}\n"))
}

/// Question of the options, and on a terminal of the answers to prompts for the rest.
fn request(args: &Args) -> Result<InitRequest, Failure> {
    let mut request = InitRequest {
        model: args.model.clone().unwrap_or_default(),
        gpus: args.gpu.clone(),
        amount: args.tokens.clone().unwrap_or_default(),
        global_batch: args.global_batch,
        deadline: args.deadline.clone(),
        budget: args.budget.clone(),
        gpus_max: args.gpus_max.clone(),
    };
    if args.model.is_some() && args.tokens.is_some() {
        return Ok(request);
    }
    if !io::stdin().is_terminal() {
        let lacks = if args.model.is_none() {
            "--model NAME"
        } else {
            "--tokens N"
        };
        return Err(Failure::usage(format!(
            "nobody is there to be asked: give `{lacks}`, or run `sweep init` on a terminal"
        )));
    }
    if args.model.is_none() {
        request.model = asked("Which model", "llama3-8b")?;
    }
    if args.gpu.is_empty() {
        let gpus = asked(
            "Which GPUs to choose from, by commas",
            &DEFAULT_GPUS.join(", "),
        )?;
        request.gpus = gpus.split(',').map(|gpu| gpu.trim().to_owned()).collect();
    }
    if args.tokens.is_none() {
        request.amount = asked("How many tokens in all (samples of images)", "1e12")?;
    }
    let none = |text: String| Some(text).filter(|text| text != "none");
    for (value, question) in [
        (&mut request.deadline, "By when, such as 60 days"),
        (&mut request.budget, "For how much, such as 700_000 USD"),
        (&mut request.gpus_max, "On how many GPUs at most"),
    ] {
        if value.is_none() {
            *value = none(asked(question, "none")?);
        }
    }
    Ok(request)
}

/// The answer to a prompt; the default where it is empty.
fn asked(question: &str, default: &str) -> Result<String, Failure> {
    terminal::prompt(&format!("{question}? [{default}] "));
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    read.map_err(|error| Failure::io(format!("cannot read the answer: {error}")))?;
    let answer = line.trim();
    Ok(if answer.is_empty() { default } else { answer }.to_owned())
}
