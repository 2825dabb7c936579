//! `clearlane bench --cpu`.

use clearlane_match::Kernel;
use serde_json::json;

use crate::failure::{Exit, Result};
use crate::output::Output;

pub(super) fn run(output: &Output) -> Result<Exit> {
    let (best, threads) = (Kernel::best().name(), rayon::current_num_threads());
    let all = ["avx512", "avx2", "neon", "portable"];
    let available: Vec<_> = all.into_iter().filter(|name| Kernel::by_name(name).is_some()).collect();
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
