//! Without the webhook: the fleet itself is sound.

use anyhow::Result;
use harness::argo_cd::{Fleet, Guard};

#[tokio::test]
async fn the_fleet_is_deployed() -> Result<()> {
    let fleet = Fleet::start(Guard::None).await?;

    fleet.deployed().await
}
