//! How each variant of the products works, from the constants that its kernels are compiled with.

use super::cost::{Between, Multiply, Plan, Sharing};
use crate::ops::Variant;
use contract::{
    decode_tile::{self, DecodeTile},
    gemm_tile::{self, GemmTile},
    hopper_tile::{self, HopperTile, Multicast, Schedule},
    limits::ROW_ALIGN_BYTES,
    packed::PANEL_ROWS,
    stream::{self, STREAMS, Stream},
};

/// The plan of a product's variant; None for what the model does not know.
pub(super) fn plan(&Variant { name, cluster, .. }: &Variant) -> Option<Plan> {
    let (own, sharing) = match name.strip_suffix("_streamk") {
        Some(own) => (own, Sharing::LastWave),
        None => (name, Sharing::Tiles),
    };
    let hopper = own.strip_suffix("_pair").unwrap_or(own);
    if let Some(tile) = hopper_tile::TILES.iter().find(|tile| tile.name == hopper) {
        return Some(Plan { sharing, ..of_hopper(tile, cluster) });
    }
    if let Some(tile) = decode_tile::TILES.iter().find(|tile| tile.name == hopper) {
        return Some(of_decode(tile, cluster));
    }
    if let Some(stream) = STREAMS.iter().find(|stream| stream.name == name) {
        return Some(of_stream(stream));
    }
    gemm_tile::TILES.iter().find(|tile| tile.name == own).map(|tile| Plan { sharing, ..of_tile(tile) })
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
        between: Between::Starts,
    }
}

/// Panels of w that stream through registers.
const fn of_stream(stream: &Stream) -> Plan {
    Plan {
        block_m: stream.tokens,
        block_n: PANEL_ROWS as u32,
        step: stream::WARPS * ROW_ALIGN_BYTES as u32,
        multiply: Multiply::Stream,
        // Fourteen loads of 16 bytes a lane (`Stream::blocks`).
        in_flight: 14 * 16 * stream::THREADS,
        threads: stream::THREADS,
        shared_bytes: 4 * stream::shared_words(stream.tokens),
        by_registers: stream.blocks,
        sharing: Sharing::Steps,
        cluster: (1, 1),
        between: Between::Starts,
    }
}

/// A tile of a persistent block that multiplies by wgmma, in a cluster of so many blocks.
const fn of_hopper(tile: &HopperTile, cluster: u32) -> Plan {
    Plan {
        block_m: tile.block_m,
        block_n: tile.block_n,
        step: ROW_ALIGN_BYTES as u32,
        multiply: Multiply::Wgmma,
        // One slot is being multiplied, one is kept for the product in flight.
        in_flight: (tile.stages - 2) * tile.stage_bytes(),
        threads: hopper_tile::THREADS,
        shared_bytes: tile.shared_bytes(),
        by_registers: 1,
        sharing: Sharing::Tiles,
        cluster: match tile.multicast {
            Multicast::W => (cluster, 1),
            Multicast::X => (1, cluster),
        },
        between: match tile.schedule {
            Schedule::Cooperative => Between::Stores,
            Schedule::PingPong => Between::Nothing,
        },
    }
}

/// A tile of a persistent block whose rows of w are the M side of wgmma, in a cluster of so many blocks that share them.
const fn of_decode(tile: &DecodeTile, cluster: u32) -> Plan {
    Plan {
        block_m: tile.tokens,
        block_n: decode_tile::ROWS,
        step: ROW_ALIGN_BYTES as u32,
        multiply: Multiply::Wgmma,
        // One slot is being multiplied.
        in_flight: (tile.stages - 1) * tile.stage_bytes(),
        threads: decode_tile::THREADS,
        shared_bytes: tile.shared_bytes(),
        by_registers: 1,
        sharing: Sharing::Steps,
        cluster: (cluster, 1),
        between: Between::Stores,
    }
}
