//! Makes what [`gitops_argo_cd_tests::Fleet::start`] needs, and shows how that gets on: a test would do it as well, but its
//! output is hidden while it runs.

use anyhow::Result;
use gitops_argo_cd_tests::Programs;

fn main() -> Result<()> {
    Programs::locate().map(drop)
}
