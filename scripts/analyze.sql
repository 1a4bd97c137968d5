-- The questions that people ask most of a training study, in DuckDB's SQL. Copy what you need.
--
--   duckdb < scripts/analyze.sql
--   duckdb -cmd "SET VARIABLE run = 'results/mine'" < scripts/analyze.sql
--   python -c "import duckdb; [print(duckdb.sql(q)) for q in open('scripts/analyze.sql').read().split(';\n') if q.strip()]"
--
-- results/llm is what `sweep run sweeps/llm.toml` writes. scripts/analyze.py asks the same in pandas.

SET VARIABLE run = coalesce(getvariable('run'), 'results/llm');

CREATE OR REPLACE TEMP VIEW points AS FROM read_parquet(getvariable('run') || '/points.parquet');

CREATE OR REPLACE TEMP VIEW scaling AS FROM read_parquet(getvariable('run') || '/scaling.parquet');

-- Rows of points that ran; the rest has a reason and no numbers.
CREATE OR REPLACE TEMP VIEW ran AS FROM points WHERE status = 'ok';

-- Which point of each model is fastest? By samples per second: step times of different batches cannot be compared.
SELECT model, gpu, gpus, used_global_batch, samples_per_s, mfu, cost_per_mtoken_usd, bottleneck
FROM ran
QUALIFY row_number() OVER (PARTITION BY model ORDER BY samples_per_s DESC, point) = 1
ORDER BY model;

-- Which point of each model costs least per million tokens?
SELECT model, gpu, gpus, used_global_batch, samples_per_s, mfu, cost_per_mtoken_usd, bottleneck
FROM ran
WHERE cost_per_mtoken_usd IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY model ORDER BY cost_per_mtoken_usd, point) = 1
ORDER BY model;

-- How do the GPUs compare, each at its best, at the same number of them?
PIVOT (SELECT model, gpus, gpu, samples_per_s FROM ran)
ON gpu USING max(samples_per_s) GROUP BY model, gpus ORDER BY model, gpus;

-- Where does scaling break down, how sure is that, and why?
SELECT DISTINCT series, model, gpu, breakdown_gpus, breakdown_status, breakdown_cause
FROM scaling
WHERE layouts = 're-optimised' AND breakdown_gpus IS NOT NULL
ORDER BY breakdown_gpus, series;

-- Where does the time go as jobs grow? Shares of the step by number of GPUs, in percent.
SELECT gpus, round(100 * avg(COLUMNS(
    ['compute_s', 'recompute_s', 'tp_comm_exposed_s', 'cp_comm_exposed_s', 'ep_comm_exposed_s',
     'pp_comm_exposed_s', 'dp_comm_exposed_s', 'bubble_s', 'optimizer_s', 'overhead_s']) / step_time_s), 1)
FROM ran GROUP BY gpus ORDER BY gpus;

-- What costs most time, and how often, by GPU?
PIVOT (SELECT gpu, bottleneck FROM ran) ON bottleneck USING count(*) GROUP BY gpu ORDER BY gpu;

-- Why can jobs not run?
SELECT model, gpu, reason_kind, count(*) AS points
FROM points WHERE status <> 'ok'
GROUP BY ALL ORDER BY ALL;

-- Which points are neither slower nor dearer than another one of the same model?
SELECT model, gpu, gpus, used_global_batch, samples_per_s, mfu, cost_per_mtoken_usd, bottleneck
FROM ran
WHERE cost_per_mtoken_usd IS NOT NULL
QUALIFY cost_per_mtoken_usd < coalesce(min(cost_per_mtoken_usd) OVER (
    PARTITION BY model ORDER BY samples_per_s DESC, cost_per_mtoken_usd
    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 'inf')
ORDER BY model, samples_per_s DESC;
