//! `clearlane bench --cpu`.

use clearlane_match::Kernel;
use serde_json::json;

use crate::failure::{Exit, Result};
use crate::output::Output;

pub(super) fn run(output: &Output) -> Result<Exit> {
    let (best, threads) = (Kernel::best().name(), rayon::current_num_threads());
    let available: Vec<_> = Kernel::available().into_iter().map(Kernel::name).collect();
    let value =
        json!({ "architecture": std::env::consts::ARCH, "threads": threads, "kernel": best, "kernels": available });
    output.result(&value, || {
        format!(
            "architecture   {}\nthreads        {threads}\nsearch kernel  {best} (of {})\n",
            std::env::consts::ARCH,
            available.join(", ")
        )
    })?;
    Ok(Exit::Yes)
}
