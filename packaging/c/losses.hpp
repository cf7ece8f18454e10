// The types of losses over a matrix that a text can name.
#pragma once
#include <array>

#include "losskit/named.hpp"
#include "policy.hpp"

namespace losskit_c {

using losskit::detail::FormsOf, losskit::detail::Joined;

template <class... R>
auto forms(Policies<R...>) -> typename Joined<typename FormsOf<R>::type...>::type;
template <class... R>
auto losses_with(Policies<R...>) -> Policies<MarginSoftmax<AnyMargin, AnyObjective, R>..., MarginSoftmax<AnyMargin, AnyMeanObjective, R>...,
                                             SoftmaxLoss<AnyObjective>, SoftmaxLoss<AnyMeanObjective>>;
using LossTypes = decltype(losses_with(forms(rests{})));

// The call with cosines of type T.
template <class T, class L>
Report run(L const& loss, RowCall const& call);

}  // namespace losskit_c
