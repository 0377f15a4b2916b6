"""FUSION's configuration keys that have no counterpart here, and why. Source: FUSION 6 (SDNNetSim on GitHub),
its configuration schema (fusion/configs/schema.py), and the ini files of its templates, examples and tests.
"""

_OUTPUT = "says when and where FUSION writes; runs and their metrics are recorded here in any case"
_CORES = "fibres have one core here"
_BANDS = "one band is simulated: c_band"
_NETWORK = "networks are given by algorithm.features, net_arch, graph_rounds and graph_units"
_TUNING = "belongs to a search for hyperparameters, not to one training"
_MODEL = "a trained model is named on the command line: --resume-from, or evaluate --policy"
_SLICING_MODEL = "FUSION's classifier of how to slice has no counterpart"
_FAILURES = "FUSION counts arrivals where failures here are times: give scenarios.*.failures"
_OFFLINE = "policies learned from recorded data have no counterpart"
_SNR = "snr_type is None in FUSION's default, where nothing reads it; signal quality here is network.transmission"

# without what the importer maps
LEFT_OUT: dict[str, str] = {
    **dict.fromkeys(
        (
            "save_snapshots", "snapshot_step", "print_step", "save_step", "save_start_end_slots", "verbose_logging",
            "log_level", "file_type", "run_id", "thread_num", "export_csv", "csv_output_path", "output_train_data",
            "aggregate_seeds", "transponder_usage_per_node", "blocking_type_ci", "fragmentation_metrics",
            "frag_calc_step", "render_mode", "sim_type",
        ),
        _OUTPUT,
    ),
    **dict.fromkeys(("core_algorithm", "core_model", "core_beta", "multi_fiber"), _CORES),
    **dict.fromkeys(("o_band", "e_band", "s_band", "l_band", "spectrum_priority"), _BANDS),
    **dict.fromkeys(("feature_extractor", "gnn_type", "layers", "emb_dim", "heads"), _NETWORK),
    **dict.fromkeys(("optimize", "optimize_hyperparameters", "optuna_trials"), _TUNING),
    **dict.fromkeys(("path_model", "spectrum_model", "is_training", "deploy_model"), _MODEL),
    **dict.fromkeys(("ml_training", "ml_model", "train_file_path", "test_size"), _SLICING_MODEL),
    **dict.fromkeys(
        (
            "failure_type", "geo_center_node", "geo_hop_radius", "t_fail_arrival_index", "t_repair_after_arrivals",
            "failed_link_src", "failed_link_dst", "srlg_links", "protection_switchover_ms", "restoration_latency_ms",
            "failure_window_size", "revert_to_primary",
        ),
        _FAILURES,
    ),
    **dict.fromkeys(
        (
            "log_offline_dataset", "dataset_output_path", "epsilon_mix", "policy_type", "fallback_policy",
            "bc_model_path", "seed_list",
        ),
        _OFFLINE,
    ),
    **dict.fromkeys(
        (
            "snr_type", "xt_type", "beta", "theta", "input_power", "egn_model", "phi", "bi_directional", "xt_noise",
            "requested_xt", "snr_recheck", "recheck_adjacent_cores", "recheck_crossband",
        ),
        _SNR,
    ),
    "thread_erlangs": "lanes of all loads run side by side",
    "n_trials": "give execution.seed for each training",
    "is_only_core_node": "every node of the topology sends and receives",
    "fixed_grid": "slots are allocated flexibly",
    "pre_calc_mod_selection": "the format follows from the path's length, or from network.format_choice",
    "filter_mods": "formats that do not reach are never tried",
    "precompute_paths": "candidate paths are always found beforehand",
    "spectrum_algorithm": "the action says what the agent decides: algorithm.action",
    "super_channel_space": "the action codec path-block:J lets an agent choose among J blocks",
    "decay_rate": "exponential decay here goes from start to end over all of training",
    "cong_cutoff": "congestion levels are equally wide",
    "dynamic_reward": "a reward here depends on the request alone, not on how far training is",
    "protection_mode": "give network.protection",
}  # fmt: skip
