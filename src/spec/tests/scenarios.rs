//! From points to scenarios: defaults, names, changes.

use super::*;

#[test]
fn defaults_come_from_the_model_the_gpu_and_its_cluster() {
    let spec = spec(
        "
        [grid]
        gpu = ['v100-32gb-sxm', 'h100-sxm']
        nodes = 1
        model = ['resnet50', 'llama3-8b']
        global_batch = 64
        ",
    );
    let catalog = spec.catalog();
    for index in 0..4 {
        let point = spec.plan().point(index);
        let gpu = &catalog.gpus[point.text(Axis::Gpu).expect("given")];
        assert_eq!(point.text(Axis::Cluster), Some(gpu.cluster.as_str()));
        // V100 has no bf16.
        let precision = if index < 2 { "fp16" } else { "bf16" };
        assert_eq!(point.text(Axis::Precision), Some(precision));
        assert_eq!(point.text(Axis::Stack), Some("current"));
        assert_eq!(point.value(Axis::Tp), Some(&AxisValue::Auto));
        assert_eq!(point.value(Axis::Etp), Some(&AxisValue::Auto));
        assert_eq!(point.value(Axis::Dp), None);
        // Images have no length.
        let seq_len = if index % 2 == 0 { None } else { Some(8192) };
        assert_eq!(point.int(Axis::SeqLen), seq_len);
        assert_eq!(point.value(Axis::Size), None);
    }
}

// Halo's users fine-tune: where a spec does not say, the busiest expert has 3.7 times the mean, or twice where each token visits two of
// four experts, which is the most. A dense network has no experts to be balanced.
#[test]
fn experts_are_as_busy_as_the_stack_says() {
    let spec = spec(
        "
        [grid]
        gpu = 'h100-sxm'
        nodes = 1
        model = ['gpt-oss-20b', 'four', 'llama3-8b']
        global_batch = 64
        stack = ['halo', 'current']
        [models.four]
        base = 'mixtral-8x7b'
        experts = 4
        ",
    );
    let expected = |point: &GridPoint| match (point.text(Axis::Model), point.text(Axis::Stack)) {
        (Some("gpt-oss-20b"), Some("halo")) => 3.7,
        (Some("four"), Some("halo")) => 2.0,
        _ => 1.0,
    };
    for index in 0..6 {
        let point = spec.plan().point(index);
        let found = point.number(Axis::ExpertImbalance);
        assert_eq!(found, Some(expected(&point)), "{index}");
    }
}

/// Cluster of the first points of a collective study.
fn clusters(spec: &Spec) -> Vec<crate::hardware::Cluster> {
    let plan = spec.plan();
    let scenarios = plan.kept(0..plan.len()).map(|point| plan.scenario(&point));
    let clusters = scenarios.map(|scenario| match scenario {
        Ok(Scenario::Collective(scenario)) => (*scenario.cluster).clone(),
        other => panic!("{other:?}"),
    });
    clusters.collect()
}

// Fewer GPUs of a server are what a table of the same server with so many GPUs is: they share the NICs beside them, leaves,
// domain and mesh. A DGX-2 with one of 16 GPUs in use gives it one of 8 NICs, 100 Gbit/s; a DGX H100 each GPU its own.
#[test]
fn fewer_gpus_per_node_are_a_table_of_the_same_server() {
    for base in crate::catalog::Catalog::builtin().clusters.values() {
        let sizes = (1..base.gpus_per_node).filter(|size| base.domain_gpus.is_multiple_of(*size));
        for size in sizes {
            let name = &base.name;
            let nics = base.nics_per_node;
            let beside = (size * nics.div_ceil(base.gpus_per_node)).min(nics);
            let spec = spec(&format!(
                "kind = 'collective'
                [grid]
                gpu = 'h100-sxm'
                nodes = 2
                op = 'all-reduce'
                size = '1 MiB'
                [[zip]]
                cluster = ['{name}', 'table']
                gpus_per_node = [{size}, {size}]
                [clusters.table]
                base = '{name}'
                gpus_per_node = {size}"
            ));
            let [by_axis, mut table] = <[_; 2]>::try_from(clusters(&spec)).expect("two points");
            (table.name, table.title) = (by_axis.name.clone(), by_axis.title.clone());
            assert_eq!(by_axis, table, "{size} GPUs");
            let rate = by_axis.nic_bandwidth_per_gpu().as_gbit_per_s();
            let shared = base.nic_bandwidth.as_gbit_per_s() * f64::from(beside);
            assert!(
                (rate - shared / f64::from(size)).abs() < 1e-9 * rate,
                "{name}"
            );
        }
    }
}

fn training(spec: &Spec, index: u64) -> Result<crate::simulation::TrainingScenario, Infeasible> {
    match spec.plan().scenario(&spec.plan().point(index))? {
        Scenario::Training(scenario) => Ok(*scenario),
        Scenario::Collective(_) => panic!("the study is of training"),
    }
}

#[test]
fn a_scenario_has_every_name_resolved_and_every_change_applied() {
    let spec = spec(
        "
        [grid]
        gpu = 'h100-sxm'
        nodes = 4
        gpus_per_node = 4
        model = 'llama3-8b'
        batch_per_gpu = 3
        topology = 'torus2d'
        oversubscription = 2
        nic_gbit_per_s = 100
        tp = 4
        zero = 1
        recompute = 'full'
        layers_per_stage = '15,17'
        collective = 'ring'
        bucket_mib = 0.5
        overlap_dp = false
        stack = 'megatron-2021'
        seed = [7, 7]
        ",
    );
    let scenario = training(&spec, 0).expect("it can run");
    // 4 nodes of 4: 16 GPUs, 3 samples each.
    assert_eq!(scenario.gpus, 16);
    assert_eq!(scenario.nodes(), 4);
    assert_eq!(scenario.workload.global_batch, 48);
    assert_eq!(scenario.workload.seq_len, 8192);
    assert_eq!(scenario.cluster.gpus_per_node, 4);
    assert_eq!(scenario.cluster.domain_gpus, 4);
    // Half of the GPUs have half of the 8 NICs, at the rate that the spec gives each GPU.
    assert_eq!(scenario.cluster.nics_per_node, 4);
    assert!((scenario.cluster.nic_bandwidth_per_gpu().as_gbit_per_s() - 100.0).abs() < 1e-9);
    assert_eq!(scenario.cluster.fabric.topology.as_str(), "torus2d");
    assert!((scenario.cluster.fabric.oversubscription - 2.0).abs() < 1e-12);
    assert_eq!(scenario.layout.tp, Some(4));
    assert_eq!(scenario.layout.pp, None);
    assert_eq!(scenario.layout.zero, Some(ZeroStage::Z1));
    assert_eq!(scenario.layout.layers_per_stage, Some(vec![15, 17]));
    assert_eq!(scenario.communication.bucket, Some(Bytes::new(512 << 10)));
    assert_eq!(scenario.communication.overlap_dp, Some(false));
    assert_eq!(scenario.stack.name, "megatron-2021");
    // The same cluster is the same object; the same seed at another point draws otherwise.
    let other = training(&spec, 1).expect("it can run");
    assert!(Arc::ptr_eq(&scenario.cluster, &other.cluster));
    assert_ne!(scenario.run.seed, other.run.seed);
}

// Another GPU brings its own cluster, and its node size: 4 nodes of 8 V100 are 32 GPUs, which are 8 nodes of 4
// GB200. `tp` is given and stays, `dp` follows; the batch per GPU makes room for the global one.
#[test]
fn an_altered_point_keeps_what_the_spec_gives_and_follows_in_the_rest() {
    let spec = spec(
        "
        where = 'nodes < 8'
        [grid]
        gpu = 'v100-32gb-sxm'
        nodes = [2, 4]
        model = 'llama3-8b'
        batch_per_gpu = 3
        tp = 2
        pp = 4
        cp = 1
        ",
    );
    let point = spec.plan().point(1);
    let altered = |axis, text| {
        let value = spec.value(axis, text).expect("the axis has the value");
        let altered = spec.plan().altered(&point, axis, value);
        let values = [
            Axis::Cluster,
            Axis::Gpus,
            Axis::Nodes,
            Axis::Precision,
            Axis::BatchPerGpu,
            Axis::GlobalBatch,
            Axis::Dp,
        ]
        .map(|axis| {
            altered
                .value(axis)
                .map_or("-".to_owned(), ToString::to_string)
        });
        values.join(" ")
    };
    insta::assert_snapshot!(
        [
            altered(Axis::Gpu, "gb200"),
            altered(Axis::GlobalBatch, "64"),
            altered(Axis::Nodes, "8"),
            altered(Axis::Tp, "auto"),
        ]
        .join("\n"),
        @r"
    gb200-nvl72 32 8 bf16 3 - 4
    dgx-1 32 4 fp16 - 64 4
    dgx-1 64 8 fp16 3 - 8
    dgx-1 32 4 fp16 3 - -
    "
    );
    let refused = |axis, text: &str| spec.value(axis, text).expect_err(text).to_string();
    assert!(refused(Axis::Nodes, "many").contains("not text `many`"));
    assert!(refused(Axis::Size, "1 MiB").contains("does not belong to a training study"));
    for (axis, several, count) in [
        (Axis::Nodes, "4,2", 2),
        (Axis::Nodes, "[4, 2, 8]", 3),
        (Axis::Nodes, "{ from = 2, to = 8, step = 2 }", 4),
        (Axis::Tp, "auto,1", 2),
    ] {
        let said = format!("a change of `{axis}` is to one value, not {count}");
        let told = refused(axis, several);
        assert!(
            told.contains(&said) && told.contains("--what-if:1:1"),
            "{told}"
        );
        assert!(told.contains("write AXIS=VALUE"), "{told}");
    }
    assert!(spec.value(Axis::Nodes, "[4]").is_ok());
}

#[test]
fn what_only_some_points_suffer_is_infeasible_with_limit_and_need() {
    let infeasible = |axes: &str| {
        let text = format!("[grid]\nglobal_batch = 64\n{axes}\n");
        training(&spec(&text), 0)
            .and_then(|scenario| simulate_training(&scenario, &mut Scratch::default()))
            .expect_err("it cannot run")
            .to_string()
    };
    let h100 = "gpu = 'h100-sxm'\nmodel = 'llama3-8b'\n";
    let sentences = [
        infeasible(&format!("{h100}gpus = 12")),
        infeasible(
            "gpu = ['v100-32gb-sxm', 'h100-sxm']\nmodel = 'llama3-8b'\nnodes = 1\nprecision = 'fp8'",
        ),
        infeasible("gpu = 'h100-sxm'\nmodel = 'resnet50'\nnodes = 1\ncp = 2"),
        infeasible("gpu = 'h100-sxm'\nmodel = 'resnet50'\nnodes = 1\nseq_len = 128"),
        infeasible(&format!("{h100}nodes = 1\nep = 2")),
        infeasible(&format!("{h100}nodes = 1\ntp = [16, 1]")),
        infeasible(&format!("{h100}nodes = 1\ntp = 3")),
        infeasible(&format!("{h100}nodes = 1\ntp = 2\npp = 1\ncp = 1\ndp = 2")),
        infeasible(&format!("{h100}nodes = 1\nlayers_per_stage = '16,15'")),
    ];
    insta::assert_snapshot!(sentences.join("\n"), @r"
    divisibility: gpus 12 cannot be divided by the 8 GPUs of a node (above one node a job takes whole nodes)
    unsupported: precision fp8 is not among the formats of v100-32gb-sxm: fp32, fp16
    unsupported: cp 2 needs a transformer, resnet50 is a convolutional network
    unsupported: seq_len does not apply to resnet50, which sees images
    unsupported: ep 2 needs experts, llama3-8b has none
    limit: tp 16 needs 16 GPUs, the job has 8
    divisibility: gpus 8 cannot be divided by tp 3
    limit: tp 2 × pp 1 × cp 1 × dp 2 is 4 GPUs, the job has 8
    limit: layers_per_stage holds 31 layers, llama3-8b has 32
    ");
}

#[test]
fn a_collective_study_has_its_own_axes() {
    let spec = spec(
        "
        kind = 'collective'
        where = \"size <= '1 GiB'\"
        [grid]
        gpu = 'h100-sxm'
        nodes = [1, 2]
        op = 'all-reduce'
        collective = ['ring', 'auto']
        protocol = 'simple'
        size = { from = '1 KiB', to = '4 GiB', times = 1024 }
        ",
    );
    insta::assert_snapshot!(listed(&spec, &[Axis::Gpus, Axis::Size, Axis::Collective]), @r"
    0 8 1 KiB ring
    1 8 1 MiB ring
    2 8 1 GiB ring
    3 8 1 KiB auto
    4 8 1 MiB auto
    5 8 1 GiB auto
    6 16 1 KiB ring
    7 16 1 MiB ring
    8 16 1 GiB ring
    9 16 1 KiB auto
    10 16 1 MiB auto
    11 16 1 GiB auto
    ");
    let Ok(Scenario::Collective(scenario)) = spec.plan().scenario(&spec.plan().point(3)) else {
        panic!("the study is of collectives");
    };
    assert_eq!(scenario.gpus, 8);
    assert_eq!(scenario.size, Bytes::new(1024));
    assert_eq!(scenario.algorithm, None);
}
