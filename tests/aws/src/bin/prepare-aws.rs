//! Makes sure that what stands for AWS in tests is there, which takes minutes the first time.

use anyhow::Result;

fn main() -> Result<()> {
    gitops_aws_tests::prepare()
}
