//! soak.csv as curves, by gnuplot.

use std::fs;
use std::path::Path;
use std::time::Duration;

use daedalus_tests::process;

use crate::root::named;

/// Draws `folder`/soak.csv to soak.png: memory above, counts below.
pub fn draw(folder: &Path) -> Result<(), String> {
    let data = folder.join("soak.csv");
    let text = fs::read_to_string(&data).map_err(named(&data))?;
    let names: Vec<&str> = text.lines().next().unwrap_or_default().split(',').collect();
    let curves = |memory: bool| -> String {
        let columns = names.iter().enumerate().skip(1);
        let wanted = columns.filter(|(_, name)| name.ends_with("_kib") == memory);
        let curve = |(at, name): (usize, &&str)| {
            let title = name.trim_end_matches("_kib").replace('_', " ");
            let scale = if memory { 1024 } else { 1 };
            let column = at + 1;
            format!(
                "'soak.csv' using ($1/60):(${column}/{scale}.0) every ::1 with lines title '{title}'"
            )
        };
        wanted.map(curve).collect::<Vec<_>>().join(", ")
    };
    let script = format!(
        "set datafile separator ','\nset terminal pngcairo size 1000,700\nset output 'soak.png'\n\
         set multiplot layout 2,1\nset key outside right\nset yrange [0:*]\n\
         set ylabel 'MiB'\nplot {}\nset ylabel 'count'\nset xlabel 'minutes'\nplot {}\nunset multiplot\n",
        curves(true),
        curves(false)
    );
    let file = folder.join("soak.gnuplot");
    fs::write(&file, script).map_err(named(&file))?;
    let mut command = process::command("gnuplot");
    let done =
        process::run(command.current_dir(folder).arg("soak.gnuplot"), Duration::from_secs(120));
    let done = done.map_err(|e| e.to_string())?;
    if !done.status.success() {
        return Err(format!("gnuplot: {}", done.log_tail(10)));
    }
    println!("{}", folder.join("soak.png").display());
    Ok(())
}
