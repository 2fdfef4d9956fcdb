//! How each variant of the products works, from the constants that its kernels are compiled with.

use super::cost::{Multiply, Plan, Sharing};
use contract::gemm_tile::{self, GemmTile};

/// The plan of a product's variant; None for what the model does not know.
pub(super) fn plan(variant: &str) -> Option<Plan> {
    let (tile, sharing) = match variant.strip_suffix("_streamk") {
        Some(tile) => (tile, Sharing::LastWave),
        None => (variant, Sharing::Tiles),
    };
    gemm_tile::TILES.iter().find(|own| own.name == tile).map(|tile| Plan { sharing, ..of_tile(tile) })
}

/// A tile whose operands go through shared memory, one block a tile.
const fn of_tile(tile: &GemmTile) -> Plan {
    Plan {
        block_m: tile.block_m,
        block_n: tile.block_n,
        step: GemmTile::BLOCK_K,
        multiply: Multiply::Mma { warp_m: tile.warp_m(), warp_n: tile.warp_n() },
        // One slot is being multiplied.
        in_flight: (tile.stages - 1) * tile.stage_bytes(),
        threads: tile.threads(),
        shared_bytes: tile.shared_bytes(),
        by_registers: tile.blocks,
        sharing: Sharing::Tiles,
        cluster: (1, 1),
        overlaps_store: false,
    }
}
