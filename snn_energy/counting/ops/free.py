"""Operators that do no arithmetic: each with the reason it is declared free."""

from __future__ import annotations

from snn_energy.counting.ops.registry import free

free(
    "view: no data are touched",
    "view _unsafe_view reshape _reshape_alias unsqueeze squeeze t transpose permute movedim expand expand_as "
    "flatten unflatten alias detach lift_fresh lift select slice narrow diagonal unfold numpy_T view_as "
    "swapaxes adjoint split unsafe_split split_with_sizes unsafe_split_with_sizes chunk unsafe_chunk unbind "
    "tensor_split squeeze_copy unsqueeze_copy view_copy resolve_conj resolve_neg mT mH "
    "view_as_real view_as_complex real imag",
    keeps_values=True,
)
free("view: no data are touched", "as_strided")  # may show memory beyond the tensor it is a view of
free(
    "copy: values are moved, not changed",
    "clone contiguous repeat repeat_interleave flip roll rot90 index_select gather take take_along_dim "
    "channel_shuffle pixel_shuffle pixel_unshuffle upsample_nearest1d upsample_nearest2d upsample_nearest3d "
    "_upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d native_channel_shuffle",
    keeps_values=True,
)
free(
    "copy: values are moved, not changed",
    "cat stack hstack vstack copy _to_copy to index index_copy index_fill masked_fill masked_scatter "
    "masked_select slice_scatter select_scatter where fill zero set_ constant_pad_nd reflection_pad1d "
    "reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d replication_pad3d im2col tril triu diag "
    "diag_embed unfold_copy meshgrid resize _reshape_copy _pad_packed_sequence _pack_padded_sequence nonzero "
    "as_strided_scatter fill_diagonal int_repr _make_per_tensor_quantized_tensor _make_per_channel_quantized_tensor",
)
free(
    "constant: made without data",
    "_empty_affine_quantized _empty_per_channel_affine_quantized "
    "empty empty_like empty_strided new_empty new_empty_strided zeros zeros_like new_zeros ones ones_like new_ones "
    "full full_like new_full arange linspace eye scalar_tensor",
)
free(
    "table lookup: memory traffic, no arithmetic",
    "embedding embedding_renorm",
)
free(
    "bookkeeping: sizes, types and scalars read by the program",
    "_local_scalar_dense item is_same_size equal is_nonzero size stride numel sym_size sym_numel _is_all_true "
    "_has_compatible_shallow_copy_type _assert_async _assert_tensor_metadata _assert_scalar "
    "result_type promote_types is_pinned _pin_memory",
)
free("identity outside training", "dropout alpha_dropout feature_dropout feature_alpha_dropout")
free("spikes or flags combined by logic gates", "bitwise_and bitwise_or bitwise_xor bitwise_not logical_and "
     "logical_or logical_xor logical_not")  # fmt: skip
