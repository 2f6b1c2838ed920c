//! A contact sheet of frames that came through the driver: a row per clip.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use daedalus_tests::clients::ffmpeg::{self, Fetch};
use daedalus_tests::driver::Environment;
use daedalus_tests::process::{self, Finished};
use daedalus_tests::stream::{Codec, Layout};

const COLUMNS: usize = 4;
const LIMIT: Duration = Duration::from_secs(300);

/// The sheet while rows are added.
pub struct Sheet {
    folder: PathBuf,
    rows: Vec<PathBuf>,
}

impl Sheet {
    /// An empty sheet that will lie in `folder`.
    pub fn new(folder: PathBuf) -> Result<Self, String> {
        fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        Ok(Self { folder, rows: Vec::new() })
    }

    /// Adds four frames of `file`, evenly spread over its `frames`.
    pub fn add(
        &mut self,
        file: &Path,
        frames: usize,
        codec: Codec,
        layout: Layout,
        environment: &Environment,
    ) -> Result<(), String> {
        let row = self.folder.join(format!(".row{}.png", self.rows.len()));
        let wanted: Vec<String> = (0..COLUMNS)
            .map(|column| format!("eq(n\\,{})", (2 * column + 1) * frames / (2 * COLUMNS)))
            .collect();
        let filter = format!(
            "{},select={},scale=320:180:force_original_aspect_ratio=decrease,\
             pad=320:180:-1:-1,setsar=1,format=rgb24,tile={COLUMNS}x1",
            Fetch::Download.filter(layout),
            wanted.join("+"),
        );
        let mut command = ffmpeg::command(environment);
        command.arg("-y").args(ffmpeg::input(codec)).arg("-i").arg(file);
        command.args(["-map", "0:v:0", "-an", "-vf", &filter, "-frames:v", "1"]).arg(&row);
        done(process::run(&mut command, LIMIT))?;
        self.rows.push(row);
        Ok(())
    }

    /// Joins the rows; `None` if there are none.
    pub fn finish(self) -> Result<Option<PathBuf>, String> {
        if self.rows.is_empty() {
            return Ok(None);
        }
        let file = self.folder.join("contact-sheet.png");
        let mut command = process::command("ffmpeg");
        command.args(["-nostdin", "-v", "error", "-y"]);
        for row in &self.rows {
            command.arg("-i").arg(row);
        }
        let stack = match self.rows.len() {
            1 => "null".to_owned(),
            rows => format!("vstack=inputs={rows}"),
        };
        command.args(["-filter_complex", &stack, "-frames:v", "1"]).arg(&file);
        let joined = done(process::run(&mut command, LIMIT));
        for row in &self.rows {
            // What is left of it is overwritten by the next sheet.
            let _ = fs::remove_file(row);
        }
        joined.map(|()| Some(file))
    }
}

fn done(outcome: Result<Finished, process::Error>) -> Result<(), String> {
    let done = outcome.map_err(|e| e.to_string())?;
    if done.status.success() {
        Ok(())
    } else {
        Err(format!("ffmpeg ended with {}:\n{}", done.ending(), done.log_tail(10)))
    }
}
