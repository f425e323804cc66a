//! The suite's table of contents: what a device must do, instantiated once for each.

/// Generates the tests of one device: `conformance!(cpu, Backends::cpu());`.
macro_rules! conformance {
    ($device:ident, $open:expr) => {
        mod $device {
            $crate::suite::tests! { $open;
                // With the reference, which is computed once for all backends.
                compared {
                    dense_attention_matches = numerics::dense_matches;
                    ragged_lengths_match = numerics::ragged_lengths_match;
                    head_ratios_match = numerics::head_ratios_match;
                    chunks_match = numerics::chunks_match;
                    presets_match = numerics::presets_match;
                    long_contexts_match = numerics::long_contexts_match;
                    sharp_scores_match = numerics::sharp_scores_match;
                    large_logits_keep_their_order_64 = logits::rankings_keep_their_order::<logits::Large64>;
                    large_logits_keep_their_order_128 = logits::rankings_keep_their_order::<logits::Large128>;
                    large_logits_keep_their_order_last = logits::rankings_keep_their_order::<logits::LargeLast>;
                    large_logits_in_8_bits_keep_their_order =
                        logits::rankings_in_eight_bits_keep_their_order::<logits::Eight128>;
                    large_logits_keep_their_order_256 = logits::rankings_keep_their_order::<logits::Large256>;
                    more_queries_than_keys_match = cross::more_queries_than_keys_match;
                    shares_are_rounded_up_once = magnitudes::shares_are_rounded_up_once;
                    means_of_large_heads_match = magnitudes::means_of_large_heads_match;
                    factors_beyond_f32_match = magnitudes::factors_beyond_f32_match;
                    ties_go_to_the_lower_block = numerics::ties_go_to_the_lower_block;
                    equal_blocks_go_to_the_lower_one = numerics::equal_blocks_go_to_the_lower_one;
                    random_dense = random::shapes_match::<kernels::Dense64>;
                    random_scorers = random::every_scorer_matches;
                    random_budgets = random::every_budget_matches;
                    random_small = random::shapes_match::<kernels::Small>;
                    random_absolute = random::shapes_match::<kernels::Absolute>;
                    random_wide_rows = random::shapes_match::<kernels::WideRows>;
                    random_wide_blocks = random::shapes_match::<kernels::WideBlocks>;
                    random_one_group = random::shapes_match::<kernels::OneGroup>;
                    random_two_groups = random::shapes_match::<kernels::TwoGroups>;
                    random_both_directions = random::shapes_match::<kernels::Both>;
                    random_wide_heads = random::shapes_match::<kernels::Wide>;
                    random_list_values = random::shapes_match::<kernels::ListValues>;
                    random_eight = random::shapes_match::<kernels::Eight>;
                    random_divided = random::shapes_match::<kernels::Divided>;
                    counts_in_list_order_match = parts::counts_in_list_order_match;
                    sums_of_maxima_match = parts::sums_of_maxima_match;
                    eight_bit_scores_match = parts::eight_bit_scores_match;
                    divided_totals_match = parts::divided_totals_match;
                    what_all_keys_share_is_harmless = parts::what_all_keys_share_is_harmless;
                    magnitudes_of_eight_bits_match = parts::magnitudes_of_eight_bits_match;
                    weights_of_any_magnitude_match = parts::weights_of_any_magnitude_match;
                    large_values_that_are_fine_pass = refusals::large_values_that_are_fine;
                }
                // By themselves.
                each {
                    fewer_queries_keep_their_diagonal = cross::fewer_queries_keep_their_diagonal;
                    all_kept_is_dense = numerics::all_kept_is_dense;
                    the_edge_is_exact = short::the_edge_is_exact;
                    chunks_count_by_their_pairs = short::chunks_count_by_their_pairs;
                    plans_say_why = short::plans_say_why;
                    divided_totals_are_kept = parts::divided_totals_are_kept;
                    weights_look_past_a_sink = parts::weights_look_past_a_sink;
                    runs_repeat = determinism::runs_repeat;
                    the_future_is_not_read = causality::the_future_is_not_read;
                    the_future_is_read_where_asked = causality::the_future_is_read_where_asked;
                    layouts_agree = layouts::layouts_agree;
                    named_orders_agree = layouts::named_orders_agree;
                    non_finite_inputs_are_refused = refusals::non_finite_inputs;
                    scores_out_of_range_are_refused = refusals::scores_out_of_range;
                    values_out_of_range_are_refused = refusals::values_out_of_range;
                    shapes_that_do_not_fit_are_refused = refusals::shapes_that_do_not_fit;
                    shapes_are_looked_at_before_memory = memory::shapes_are_looked_at_before_memory;
                    memory_that_nobody_has_is_an_error = memory::memory_that_nobody_has_is_an_error;
                    a_refusal_leaves_no_trace = refusals::a_refusal_leaves_no_trace;
                }
            }
        }
    };
}

macro_rules! tests {
    (
        $open:expr;
        compared { $($name:ident = $check:expr;)+ }
        each { $($each:ident = $check_each:expr;)+ }
    ) => {
        use crate::*;

        $(
            #[test]
            fn $name() {
                $check($open);
            }
        )+
        $(
            #[test]
            fn $each() {
                $open.each($check_each);
            }
        )+
    };
}

pub(crate) use {conformance, tests};
