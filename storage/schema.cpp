// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/schema.h"

namespace expertscope {

const char* const kSchemaSql = R"sql(
CREATE TABLE meta(
    key TEXT PRIMARY KEY,
    value ANY
) STRICT, WITHOUT ROWID;

CREATE TABLE model(
    model_id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    family TEXT NOT NULL,
    path TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    layers INTEGER NOT NULL,
    experts INTEGER NOT NULL,
    top_k INTEGER NOT NULL,
    hidden INTEGER NOT NULL,
    vocabulary INTEGER NOT NULL,
    context INTEGER NOT NULL,
    expert_bytes INTEGER NOT NULL,
    total_expert_bytes INTEGER NOT NULL,
    has_pre_gates INTEGER NOT NULL
) STRICT;

CREATE TABLE model_layer(
    model_id INTEGER NOT NULL REFERENCES model,
    layer INTEGER NOT NULL,
    gate_diversity REAL,
    PRIMARY KEY(model_id, layer)
) STRICT, WITHOUT ROWID;

CREATE TABLE run(
    run_id INTEGER PRIMARY KEY,
    model_id INTEGER NOT NULL REFERENCES model,
    state TEXT NOT NULL,
    policy TEXT NOT NULL,
    eviction TEXT NOT NULL,
    exact INTEGER NOT NULL,
    device TEXT NOT NULL,
    budget_bytes INTEGER NOT NULL,
    slots INTEGER NOT NULL,
    threads INTEGER NOT NULL,
    link TEXT NOT NULL,
    io TEXT NOT NULL,
    reference INTEGER NOT NULL,
    record_routing INTEGER NOT NULL,
    record_spans INTEGER NOT NULL,
    record_norms INTEGER NOT NULL,
    record_predictions INTEGER NOT NULL,
    command TEXT NOT NULL,
    machine TEXT NOT NULL,
    started_utc TEXT NOT NULL,
    start_ns INTEGER NOT NULL,
    run_group TEXT NOT NULL,
    repeat INTEGER NOT NULL,
    planned_tokens INTEGER NOT NULL,
    writer_pid INTEGER NOT NULL,
    writer_start_ticks INTEGER NOT NULL,
    writer_boot_id TEXT NOT NULL,
    prompt_tokens INTEGER,
    generated_tokens INTEGER,
    stopped TEXT,
    prefill_tokens_per_s REAL,
    decode_tokens_per_s REAL,
    ttft_ms REAL,
    tpot_p50_ms REAL,
    tpot_p90_ms REAL,
    tpot_p99_ms REAL,
    accesses INTEGER,
    hits INTEGER,
    hits_in_flight INTEGER,
    misses INTEGER,
    demand_bytes INTEGER,
    prefetch_bytes INTEGER,
    moved_bytes INTEGER,
    useful_bytes INTEGER,
    late_bytes INTEGER,
    wasted_bytes INTEGER,
    cancelled_bytes INTEGER,
    total_ms REAL,
    compute_ms REAL,
    wait_ms REAL,
    other_ms REAL,
    peak_device_bytes INTEGER,
    spans INTEGER,
    selections INTEGER,
    dropped INTEGER,
    fidelity TEXT
) STRICT;

CREATE TABLE request(
    run_id INTEGER NOT NULL REFERENCES run,
    request INTEGER NOT NULL,
    label TEXT NOT NULL,
    prompt TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    generated_tokens INTEGER NOT NULL,
    first_token INTEGER NOT NULL,
    start_ns INTEGER NOT NULL,
    first_token_ns INTEGER,
    end_ns INTEGER,
    stopped TEXT NOT NULL,
    PRIMARY KEY(run_id, request)
) STRICT, WITHOUT ROWID;

CREATE TABLE token(
    run_id INTEGER NOT NULL REFERENCES run,
    token INTEGER NOT NULL,
    request INTEGER NOT NULL,
    position INTEGER NOT NULL,
    id INTEGER NOT NULL,
    phase TEXT NOT NULL,
    step INTEGER NOT NULL,
    time_ns INTEGER NOT NULL,
    log_probability REAL,
    bytes BLOB NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY(run_id, token)
) STRICT, WITHOUT ROWID;

CREATE TABLE lane(
    run_id INTEGER NOT NULL REFERENCES run,
    lane INTEGER NOT NULL,
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY(run_id, lane)
) STRICT, WITHOUT ROWID;

CREATE TABLE diagnostic(
    run_id INTEGER NOT NULL REFERENCES run,
    diagnostic_id INTEGER PRIMARY KEY,
    time_ns INTEGER NOT NULL,
    end_ns INTEGER,
    name TEXT NOT NULL,
    severity TEXT NOT NULL,
    count INTEGER NOT NULL,
    sentence TEXT NOT NULL
) STRICT;
CREATE INDEX diagnostic_run ON diagnostic(run_id);

CREATE TABLE chunk(
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES run,
    kind TEXT NOT NULL,
    count INTEGER NOT NULL,
    start_ns INTEGER,
    end_ns INTEGER,
    first_token INTEGER,
    last_token INTEGER,
    encoding INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;
CREATE INDEX chunk_run ON chunk(run_id);
CREATE INDEX chunk_range ON chunk(run_id, kind, start_ns, end_ns, first_token, last_token);
)sql";

const char* const kLayerExpertBytesSql = R"sql(
CREATE TABLE layer_expert_bytes(
    model_id INTEGER NOT NULL REFERENCES model,
    layer INTEGER NOT NULL,
    expert_bytes INTEGER NOT NULL,
    PRIMARY KEY(model_id, layer)
) STRICT, WITHOUT ROWID;
)sql";

const char* const kRunCostSql = R"sql(
CREATE TABLE IF NOT EXISTS run_cost(
    run_id INTEGER PRIMARY KEY REFERENCES run,
    transfer_ns INTEGER NOT NULL,
    compute_ns INTEGER NOT NULL,
    compute_token_ns INTEGER NOT NULL,
    in_place_ns INTEGER NOT NULL,
    in_place_token_ns INTEGER NOT NULL
) STRICT;
)sql";

const char* const kRangeNameSql = R"sql(
CREATE TABLE IF NOT EXISTS range_name(
    run_id INTEGER NOT NULL REFERENCES run,
    name_id INTEGER NOT NULL,
    domain TEXT NOT NULL,
    category TEXT NOT NULL,
    text TEXT NOT NULL,
    color INTEGER NOT NULL,
    PRIMARY KEY(run_id, name_id)
) STRICT, WITHOUT ROWID;
)sql";

const char* const kSummarySql = R"sql(
CREATE TABLE IF NOT EXISTS span_summary(
    run_id INTEGER NOT NULL REFERENCES run,
    lane INTEGER NOT NULL,
    kind TEXT NOT NULL,
    bits INTEGER NOT NULL,
    first INTEGER NOT NULL,
    count INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY(run_id, lane, kind)
) STRICT;
CREATE TABLE IF NOT EXISTS selection_summary(
    run_id INTEGER NOT NULL REFERENCES run,
    layer INTEGER NOT NULL,
    bits INTEGER NOT NULL,
    first INTEGER NOT NULL,
    count INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY(run_id, layer)
) STRICT;
)sql";

}  // namespace expertscope
