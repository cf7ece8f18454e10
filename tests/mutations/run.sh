#!/usr/bin/env bash
# Mutation proof: breaks the library in named ways, one line at a time, and shows which test case notices. By hand:
#
#   tests/mutations/run.sh              all of them, some two hours on two cores
#   tests/mutations/run.sh Monotone     those whose name or file contains the word
#
# A mutation that no test notices is printed as SURVIVED, one whose line is gone as NOT APPLIED; both make the run fail.
# CXX, CXXFLAGS and EIGEN (its include folder) may be set; JOBS mutations run at a time (default 1); TESTS: no others are tried.
set -u
cd "$(dirname "$0")/../.." || exit 1
word=${1:-}
: "${CXX:=g++}" "${CXXFLAGS:=-O0}" "${EIGEN:=/usr/include/eigen3}" "${JOBS:=1}"
work=$(mktemp -d)
cp -r include "$work/include"  # as it is now, whoever edits meanwhile
trap 'rm -rf "$work"' EXIT
$CXX -std=c++20 -c tests/main.cpp -o "$work/main.o" || exit 1
number=0

# A test that fails on the library as it is would prove nothing.
# NAME_tsan: the test NAME under the thread sanitizer. NAME_native: for this machine, and thus with AVX-512 where it has that.
compile() {
  local name=$2 flags=$CXXFLAGS
  [[ $name != *_tsan ]] || { name=${name%_tsan} flags+=" -fsanitize=thread"; }
  [[ $name != *_native ]] || { name=${name%_native} flags+=" -march=native"; }
  $CXX -std=c++20 $flags -w -fopenmp -I"$1" -isystem "$EIGEN" "tests/${name}_test.cpp" "$work/main.o" -ltbb -o "$3"
}
run() { TSAN_OPTIONS=halt_on_error=1 timeout 300 "$1" --abort-after=1 >"$1.out" 2>&1; }
declare -A sound
: "${TESTS:=laws golden edges backends errors heads accuracy gradient_sum smoothing softmax_loss curricular phases row_policies lanes lanes_tsan lanes_device edges_native math_native}"
for test in $TESTS; do
  sound[$test]=no
  compile "$work/include" $test "$work/$test" 2>/dev/null && run "$work/$test" && sound[$test]=yes
  [[ ${sound[$test]} == yes ]] || echo "$test fails without a mutation and is left out"
  rm -f "$work/$test"
done

# mutate NAME FILE OLD NEW TEST...: in include/losskit/FILE the first OLD becomes NEW; the TESTs are tried in this order.
mutate() {
  local name=$1 file=$2
  [[ -z $word || "$name $file" == *"$word"* ]] || return 0
  number=$((number + 1))
  one "$(printf %03d $number)" "$@" &
  while (($(jobs -rp | wc -l) >= JOBS)); do wait -n; done
}
one() {
  local id=$1 name=$2 file=$3 old=$4 new=$5
  shift 5
  local copy=$work/$id verdict="SURVIVED ($*)"
  cp -r "$work/include" "$copy"
  if [[ ! -e $copy/losskit/$file ]] || ! OLD=$old NEW=$new perl -0777 -pi -e 's/\Q$ENV{OLD}\E/$ENV{NEW}/ or $missing = 1; END { exit($missing ? 3 : 0) }' "$copy/losskit/$file"; then
    verdict="NOT APPLIED"
  else
    for test in "$@"; do
      [[ ${sound[$test]:-no} == yes ]] || continue
      if ! compile "$copy" "$test" "$copy/$test" >"$copy/log" 2>&1; then
        verdict="DOES NOT COMPILE: $(grep -m1 error "$copy/log" | cut -c1-120)"
        break
      fi
      if ! run "$copy/$test"; then
        verdict="killed by $test: $(grep -m1 -E 'TEST CASE:|SUMMARY:|emulated lanes:' "$copy/$test.out" | sed 's/TEST CASE: *//; s/SUMMARY: ThreadSanitizer: \(data race\).* in /\1 in /' | cut -c1-120)"
        break
      fi
    done
  fi
  printf '%-38s | %-62s | %s\n' "$file" "$name" "$verdict" | tee "$work/$id.line"
  rm -rf "$copy"
}

# --- margins
f=margin/angular.hpp
mutate "Monotone: k counted from 1"                      $f 'p.turns + floor(x * (1 / pi))' 'p.turns + floor(x * (1 / pi)) + 1' laws
mutate "Monotone: no fold of the sign"                   $f 'sign = 1 - 2 * abs(k - 2 * floor(k * 0.5));' 'sign = 1;' laws
mutate "Monotone: -2k dropped"                           $f 'return sign * at.cos - 2 * k - m3_;' 'return sign * at.cos - m3_;' laws
mutate "Monotone: m1 = 1, k = 1 for phi < 0 too"         $f '(carried ? (m2_ > 0 ? 1 : -1) : 0)' '(carried ? 1 : 0)' laws
mutate "whole m1: m2 carries phi nowhere"                $f '(carried ? (m2_ > 0 ? 1 : -1) : 0)' '0' laws
mutate "whole m1: m2 = 0 carries too"                    $f 'carried = m2_ != 0 && ' 'carried = ' laws
mutate "whole m1: a turn too few"                        $f 'for (int i = 1; i < m1_; ++i)' 'for (int i = 2; i < m1_; ++i)' laws
mutate "whole m1: half turns not counted"                $f 'h += (sin_t < 0) != below;' '' laws
mutate "whole m1: half turns from the near pole always"  $f 'upper ? h : static_cast<int>(m1_) - 1 - h' 'h' laws
mutate "Monotone: the slope keeps its sign"               $f 'return abs(steep); else' 'return steep; else' laws
mutate "slope without m1"                                 $f 'return multiply_add(X(m1_), ratio, lost<X>(m1_) * ratio);' 'return ratio;' laws
mutate "slope divided by sin(theta) no more"             $f ': at).sin / sqrt(fma(-inside, inside, X(1)));' ': at).sin;' laws
mutate "m3 added"                                        $f 'if (m1_ == 1 && m2_ == 0 && !is<Easy> && !is<Clamp>) return c - m3_;' 'if (m1_ == 1 && m2_ == 0 && !is<Easy> && !is<Clamp>) return c + m3_;' laws
mutate "angle sum: a sign"                               $f 'multiply_add(X(p.sin), cos_t, side * p.cos * sin_t);' 'multiply_add(X(p.sin), cos_t, -side * p.cos * sin_t);' laws
mutate "the angle from c = -1 turns the wrong way"       $f 'X const t = side * atan2(s, a)' 'X const t = atan2(s, a)' laws
mutate "far end: the rest of P without m1 pi"             $f '::sin(part), part, whole' '::sin(part), m2, whole' laws
mutate "far end: whole turns do not flip"                $f '? 1 : -1, part' '? 1 : 1, part' laws
mutate "far end: whole turns not counted"                $f 'part, whole, turn}' 'part, 0, turn}' laws
mutate "m3 in the general formula dropped"               $f 'return at.cos - m3_;' 'return at.cos;' laws
mutate "LegacyLinear: falls the other way"               $f 'return c - product(m2_, near_.sin) - m3_;' 'return c + product(m2_, near_.sin) - m3_;' laws golden
mutate "LegacyLinear and others: the break on the wrong side" $f 'return !exceeds(c, break_) && c <= c;' 'return exceeds(c, break_);' laws
mutate "ContinuousLinear: not continuous"                $f 'return c - (1 + break_) - m3_;' 'return c - break_ - m3_;' laws
mutate "ContinuousLinear: slope of the fallback"         $f 'if (past_break(c)) return 1;' 'if (past_break(c)) return 0.9;' laws
mutate "FallToCosine: m3 dropped past the break"         $f 'if (past_break(c)) return c - m3_;' 'if (past_break(c)) return c;' laws golden
mutate "Easy: the margin everywhere"                     $f 'if (c <= rule_.above) return c;' 'if (false) return c;' laws golden
mutate "Clamp: a slope outside"                          $f 'if (clipped(c)) return 0;' '' laws
mutate "Clamp: the lower end is not clipped"             $f 'exceeds(c, clip_above_) ? -1 :' 'false ? -1 :' laws golden
mutate "Clamp: m3 dropped outside"                       $f '* ::cos(rule_.eps)) - m3_;' '* ::cos(rule_.eps));' laws golden
mutate "finite limit at c = 1 not exact"                 $f 'ratio = upper ? m1_ * near_.cos : -m1_ * far_.cos;' 'ratio = upper ? near_.cos : -m1_ * far_.cos;' laws
mutate "slope at 1 taken far from 1"                      $f 'nearest = 1 - below_one<X>,' 'nearest = 1 - 1e-3,' laws edges
mutate "Detached: slope not 1"                            $f 'return {{psi, X(1)}, {plain, X(1)}, by_m2' 'return {{psi, X(2)}, {plain, X(1)}, by_m2' laws
mutate "value not clamped to [-1, 1]"                    $f 'X const v = min(max(c, X(-1)), X(1));' 'X const v = c;' laws
mutate "NaN clamped away"                                $f 'X const v = min(max(c, X(-1)), X(1));' 'X const v = max(X(-1), min(X(1), c));' laws
mutate "the threshold with the rule past pi"              $f 'plain = at.cos - m3_' 'plain = psi' laws golden edges
mutate "the threshold without m3"                         $f 'plain = at.cos - m3_' 'plain = at.cos' laws golden edges
mutate "Monotone: by m2, the sign kept"                   $f 'return -abs(at.sin); else' 'return -at.sin; else' row_policies
mutate "by m2: half of it"                                $f 'else return -at.sin;' 'else return -at.sin / 2;' row_policies
mutate "NoMargin: slope"                                 margin/none.hpp 'X(1)), 1};' 'X(1)), 2};' laws
mutate "Annealed: lambda missing in the slope"           margin/annealed.hpp '(lambda_ + psi.slope)' '(psi.slope)' laws
mutate "Annealed: not divided"                           margin/annealed.hpp ', psi) / (1 + lambda_);' ', psi) / (1);' laws
mutate "Annealed: the threshold is not annealed"          margin/annealed.hpp 'mixed(c, at.threshold)' 'at.threshold' laws golden edges
mutate "ArcMargin takes a cosine"                        margin/arc.hpp '(name, 1, m, 0, rule)' '(name, 1, 0, m, rule)' laws
mutate "SphereMargin adds its m"                         margin/sphere.hpp '(name, m, 0, 0, rule)' '(name, 1, m, 0, rule)' laws
mutate "CosMargin adds"                                  margin/cos.hpp '(name, 1, 0, m, rule)' '(name, 1, 0, -m, rule)' laws
mutate "CombinedMargin: m2 and m3 swapped"               margin/combined.hpp '(name, m1, m2, m3, rule)' '(name, m1, m3, m2, rule)' laws
# --- rest rules, objectives, scales
mutate "Adaptive: slope 1"                               rest/hard_negatives.hpp 'Jet<X>{multiply_add(t, c + 1, c), 1 + t}' 'Jet<X>{multiply_add(t, c + 1, c), X(1)}' laws
mutate "Adaptive: (1 + t) c without t"                   rest/hard_negatives.hpp 'multiply_add(t, c + 1, c), 1 + t' 'multiply_add(t, c, c), 1 + t' laws golden
mutate "mask the wrong way"                              rest/hard_negatives.hpp 'select(c > threshold, Jet' 'select(c < threshold, Jet' laws golden
mutate "Fixed: minus t"                                  rest/hard_negatives.hpp 'select(c > threshold, c + t, c)' 'select(c > threshold, c - t, c)' laws golden
mutate "bound too small"                                 rest/hard_negatives.hpp 'adaptive ? 1 + 2 * t_' 'adaptive ? 1 + t_' laws
mutate "CrossEntropy: sign of the slope"                 objective/cross_entropy.hpp '{-log_p, -1}' '{-log_p, 1}' laws
mutate "FocalLoss: gamma dropped from the slope"          objective/focal.hpp '(gamma_ * exp(finite)' '(exp(finite)' laws
mutate "FocalLoss: p for q"                              objective/focal.hpp 'X const q = -expm1(log_p);' 'X const q = exp(log_p);' laws
mutate "FocalLoss: alpha dropped"                        objective/focal.hpp 'alpha_ * (gamma_ == 2' '(gamma_ == 2' laws
mutate "LabelSmoothing: eps twice"                        objective/label_smoothing.hpp 'on_all = -epsilon_' 'on_all = -2 * epsilon_' smoothing
mutate "LabelSmoothing: the target keeps all"             objective/label_smoothing.hpp 'on_target = -(1 - epsilon_)' 'on_target = -1' smoothing
mutate "CurricularRest: slope without 2"                  rest/curricular.hpp 'multiply_add(X(2), c, t)' 'c + t' laws
mutate "CurricularRest: momentum the wrong way"           rest/curricular.hpp 'multiply_add(momentum_, batch.mean_target_cosine, product(1 - momentum_, state.t))' 'multiply_add(1 - momentum_, batch.mean_target_cosine, product(momentum_, state.t))' curricular
mutate "FeatureNorm: slope beyond the ceiling"           scale/feature_norm.hpp '{X(high_), X(0)}' '{X(high_), X(1)}' laws
mutate "FeatureNorm: no floor"                           scale/feature_norm.hpp 'return {X(low_), X(0)};' 'return {s, X(factor_)};' laws
mutate "AdaCos: ln C for ln(C - 1)"                      scale/adacos.hpp 'double(classes_ - 1)' 'double(classes_)' edges
mutate "AdaCos: the larger angle of pi/4 and the median" scale/adacos.hpp '::fmax(::sqrt(0.5), batch' '::fmin(::sqrt(0.5), batch' edges
mutate "AdaCos: negative ln B taken"                     scale/adacos.hpp 'batch.log_mean_rest > 0 && ' '' edges
mutate "AdaCos: kept states not counted"                 scale/adacos.hpp '++state.kept;' ';' edges
mutate "AdaCos: the upper median"                        loss/advance.hpp 'static_cast<idx>(sum.rows) / 2)' '(static_cast<idx>(sum.rows) - 1) / 2)' edges
mutate "AdaCos: ignored rows counted"                    loss/advance.hpp 'sum.sum / sum.rows' 'sum.sum / double(rows)' edges
# --- point losses
mutate "Wing: the constant dropped"                      point/wing.hpp 'Jet<X>{a - c_, X(1)}' 'Jet<X>{a, X(1)}' golden
mutate "Wing: slope without eps"                         point/wing.hpp 'w_ / (eps_ + a)' 'w_ / (1 + a)' laws
mutate "Wing: slope without its sign"                    point/wing.hpp 'copysign(steepness, d)' 'steepness' laws
mutate "Adaptive wing: exponent without y"               point/adaptive_wing.hpp 'X const h = head_ - y,' 'X const h = X(head_),' laws golden
mutate "Adaptive wing: truth not clamped"                point/adaptive_wing.hpp 'X const y = min(max(truth, X(0)), X(1)),' 'X const y = truth,' laws golden edges
mutate "Adaptive wing: the line past theta flat"         point/adaptive_wing.hpp 'multiply_add(slope, a - b, value)' 'value' laws
mutate "Smooth L1: 1/2 dropped"                          point/smooth_l1.hpp 'multiply_add(0.5 * b, sigma2_ * b' 'multiply_add(b, sigma2_ * b' laws
mutate "Smooth L1: sigma for sigma^2"                    point/smooth_l1.hpp 'sigma2_(sigma * sigma)' 'sigma2_(sigma)' golden
mutate "Huber: slope not bounded by delta"               point/smooth_l1.hpp 'min(max(d, X(-delta_)), X(delta_))' 'd' laws
mutate "Sigmoid focal: gamma missing"                     point/sigmoid_focal.hpp 'rising = gamma_ * p;' 'rising = p;' laws
mutate "Sigmoid focal: alpha on both sides"              point/sigmoid_focal.hpp ': 1 - alpha)' ': alpha)' golden
mutate "Sigmoid focal: the miss's sign"                  point/sigmoid_focal.hpp 'X(hit_), X(-miss_)' 'X(hit_), X(miss_)' laws
# --- the row
f=row/row.hpp
mutate "p for q"                                         $f 'q = finite ? odds / (1 + odds)' 'q = finite ? 1 / (1 + odds)' laws
mutate "odds beyond range: the loss without ln Z"         $f 'D(::log(z.v)) + x' 'x' edges
mutate "odds beyond range not seen"                       $f 'finite = !(odds.v > 1e300)' 'finite = true' edges
mutate "s missing in the target's gradient"               $f 'by_psi = by_z * scale, by' 'by_psi = by_z, by' laws
mutate "psi' missing in the target's gradient"            $f 'by_psi * target.psi.slope)' 'by_psi)' laws
mutate "weight missing in the target's gradient"          $f 'D by_z = w * all * q;' 'D by_z = all * q;' laws
mutate "weight missing in the gradient of the others"     $f '-w * all * q' '-all * q' laws
mutate "weight missing in the loss"                       $f '{(w * o.value).v,' '{o.value.v,' laws
mutate "the objective's slope dropped"                    $f 'all = o.slope + o.by_mean' 'all = 0 * o.slope - 1' laws
mutate "r' missing in what is kept"                       $f 'at.store(kept_, times_slope<Rest>(e, r.slope))' 'at.store(kept_, e)' laws
mutate "dL/ds without the classes"                        $f 'multiply_add(by_z, psi, pull * mean)' 'by_z * psi' laws
mutate "the shift forgotten"                              $f 'x = above, count' 'x = -scale * psi, count' edges
mutate "one class divides by zero"                        $f 'bool const alone = z.v == 0;' 'bool const alone = false;' edges
mutate "ties count as right"                              $f '!(raw < c_y_)' 'raw > c_y_' edges
mutate "a factor out of range"                            $f 'size >= largest * z ? up' 'false ? up' edges gradient_sum
mutate "a factor that is flushed"                         $f '!(size < small * z) || size == 0 ? 1' 'true ? 1' gradient_sum
mutate "a lift too far down"                              $f 'size >= tiny * z ? down : far_down' 'down' gradient_sum
mutate "the lift forgotten in what was kept"              $f 'if (ending.lift != 1) {' 'if (false) {' gradient_sum
mutate "the lift forgotten in the second pass"            $f 'raise * exp_of(r.value)' 'exp_of(r.value)' gradient_sum
mutate "what all classes get alike, twice"                $f 'spread = w * o.by_mean / count;' 'spread = 2 * w * o.by_mean / count;' smoothing
mutate "the target's share not taken from it"             $f 'by_z = by_z - spread * (count - 1);' '' smoothing
mutate "what all classes get alike, not written"          $f 'T(upstream * end.uniform)});' 'T(0)});' smoothing
mutate "what all classes get alike, not in the second pass" $f 'X(T(upstream * end.uniform))' 'X(T(0))' smoothing
mutate "the mean log-probability without the target"      $f 'multiply_add(-(count - 1), psi, sums' 'multiply_add(D(0), psi, sums' smoothing
mutate "dL/ds without what all classes get alike"         $f 'by_scale = multiply_add(spread, sums.template get<RestSum>(), by_scale);' '' smoothing
mutate "the threshold's pull without s"                   $f 'by_threshold = alone ? D(0) : pull * scale *' 'by_threshold = alone ? D(0) : pull *' row_policies
mutate "the threshold's slope is not psi's"               $f 'D(target.threshold_slope)' 'D(target.psi.slope)' row_policies
mutate "the margin number: psi not by it"                 $f 'by_psi * target.by_parameter)' 'by_psi * target.psi.slope)' row_policies
mutate "the margin number: the threshold not by it"       $f 'D(target.threshold_by_parameter)' 'D(0)' row_policies
mutate "an infinite target not counted"                   $f 'odd.non_finite = count_non_finite<false>(team, kept, part.count) + lost;' 'odd.non_finite = count_non_finite<false>(team, kept, part.count);' edges softmax_loss
mutate "a part begins anew"                               $f 'if (state.sums.begun()) f' 'if (false) f' phases
mutate "what is kept stays relative to its own logit"     $f 'if (stretches.count > 0) pull' 'if (false) pull' softmax_loss phases
mutate "saved pass: r' missing"                           $f 'times_slope<Rest>(scaled.of(raise * exp_of(r.value)), r.slope)' 'scaled.of(raise * exp_of(r.value))' laws backends
mutate "RestSum: of e"                                    row/sums.hpp 'return sum + t.r;' 'return sum + t.e;' smoothing
mutate "ThresholdSum: without e"                          row/sums.hpp 'multiply_add(t.e, t.by_threshold, sum)' 'sum + t.by_threshold' row_policies
mutate "pairs: what e does not enter is scaled too"       row/sums.hpp 'A::of_e ? get<A>() * factor : get<A>()' 'get<A>() * factor' smoothing softmax_loss
mutate "pairs: sums of e are not scaled"                  row/sums.hpp 'A::of_e ? get<A>() * factor : get<A>()' 'get<A>()' softmax_loss edges
mutate "pairs: the earlier sum is not scaled"             row/sums.hpp 'Sums::scale(::exp2(at - b.at));' '' softmax_loss
mutate "pairs: the later sum is not scaled"               row/sums.hpp 'b.scale(::exp2(b.at - at));' '' softmax_loss
mutate "pairs: the earlier logit stays"                   row/sums.hpp 'top = b.top;' '' softmax_loss
mutate "a sum in double loses what it rounds"             row/sums.hpp 'if constexpr (requires { this->lost; }) {' 'if constexpr (false) {' accuracy softmax_loss
mutate "pairs: what was lost is not scaled"               row/sums.hpp 'if constexpr (requires { this->lost; }) this->lost = this->lost * factor;' '' softmax_loss
mutate "logistic: what e^-a loses is lost"               core/math.hpp 'u_low = multiply_add(s, r_low, product_minus(s, g, u - s))' 'u_low = P(0)' math_native
mutate "logistic: what the quotient loses is lost"       core/math.hpp 'multiply_add(-larger, u_low, -product_minus(larger, u, 1 - larger))' 'P(0)' math_native
mutate "exp2: a product that is flushed, by a table"      core/math.hpp 'fuses ? multiply_add(g, s, s) : s * (g + 1)' 'g * s + s' edges_native
mutate "exp2: a product that is flushed without FMA"      core/math.hpp 'fuses ? multiply_add(g, s, s) : s * (g + 1)' 'multiply_add(g, s, s)' edges
f=row/exponential.hpp
mutate "bounded: pairs too late"                         $f '<= 2 * last;' '<= 4 * last;' edges
mutate "bounded: a double's sums up to its end"          $f '(sizeof(T) == 8 ? 76 : 0)' '0' edges
mutate "bounded: the scale rounded to float"             $f 'T(exact - double(k))' 'T(0)' accuracy
mutate "bounded: target and rest of other scales"         $f 'return product(double(k) + double(k_low), ln2); }' 'return product(double(k), ln2); }' accuracy edges
mutate "bounded: the shift in the wrong base"             $f 'double shift() const { return product(double(h), ln2); }' 'double shift() const { return double(h); }' edges
mutate "pairs: huge logits keep no difference"            $f 'whole ? T(0) : T(top)' 'T(0)' softmax_loss
mutate "pairs: always a whole exponent"                   $f 'bool const whole = sizeof(T) == 4 && ::fabs(logit) <= 2 * slack;' 'bool const whole = true;' softmax_loss accuracy
mutate "pairs: never a whole exponent"                    $f 'bool const whole = sizeof(T) == 4 && ::fabs(logit) <= 2 * slack;' 'bool const whole = false;' accuracy gradient_sum
mutate "pairs: e may grow out of range"                   $f 'sizeof(T) == 4 ? 60 : 500' 'sizeof(T) == 4 ? 160 : 1500' softmax_loss
mutate "pairs: far below not cut"                         $f 'k > 0 ? T((exponent + least) / double(k)) : none' 'none' softmax_loss gradient_sum
mutate "pairs: scale 0 cut"                               $f 'T((exponent + least) / double(k)) : none' 'T((exponent + least) / double(k)) : -none' softmax_loss edges
# --- calls
f=loss/report.hpp
mutate "upstream per row dropped"                        $f '* (batch.upstream.data ? double(batch.upstream[i]) : 1)' '' laws
mutate "upstream factor dropped"                         $f 'return options.upstream *' 'return 1 *' laws
mutate "class weight dropped"                            $f '* (batch.class_weights.data ? double(batch.class_weights[label(i)]) : 1)' '' laws
mutate "mean over all rows"                              $f 'Reduction::mean            ? sum.valid' 'Reduction::mean            ? double(rows)' laws
mutate "weighted mean over rows"                         $f '? sum.weights' '? sum.valid' laws
mutate "an ignored row keeps its gradient"                loss/rows.hpp 'if (Gradient && !accumulate) clear_row' 'if (false) clear_row' edges
mutate "an ignored row is erased when accumulating"       loss/rows.hpp 'if (Gradient && !accumulate) clear_row' 'if (Gradient) clear_row' edges
mutate "logits: the target without its margin"            loss/logits.hpp 'T(start.scale * start.target.psi.value)' 'T(start.scale * double(start.target.cosine))' laws
mutate "logits_backward: s missing"                       loss/logits.hpp 'X const k = T(s * u)' 'X const k = T(u)' laws
mutate "logits_backward: psi slope missing"               loss/logits.hpp 'product(s * u * dz_y, start.target.psi.slope)' '(s * u * dz_y)' laws
mutate "labels not checked"                               loss/calls.hpp '(y < 0 || y >= cols)' '(y < 0)' errors
mutate "NaN cosine in a one-class row"                    loss/report.hpp 'lost ? never_first : static_cast<idx>(sums.above.v)' 'static_cast<idx>(sums.above.v)' edges
mutate "upstream twice in a saved backward"               loss/rows.hpp ' end, upstream, accumulate);' ' end, upstream * upstream, accumulate);' laws backends
mutate "a margin a row: not bound"                        loss/rows.hpp 'if (row.given) return' 'if (false) return' row_policies
mutate "a margin a row: that of the first row"            loss/report.hpp 'double(batch.margins[i])' 'double(batch.margins[0])' row_policies
mutate "a number a row for rest rules: not bound"         loss/rows.hpp 'Rest const rest = at_row(classes.rest, start.rest);' 'Rest const rest = classes.rest;' curricular
mutate "a number a row for rest rules: that of the first row" loss/report.hpp 'batch.rest.size == 1 ? 0 : i' '0' curricular
# --- teams
f=team/serial.hpp
mutate "serial: hole not skipped"                         $f 'if (j != hole) part' 'if (true) part' laws
mutate "serial: accumulate assigns"                       $f 'g[j] = accumulate_ ? g[j] + x : x;' 'g[j] = x;' laws
mutate "serial: stretches not made alike"                 $f 'kept[j] *= factor;' ';' softmax_loss phases
mutate "serial: what came before the stretches stays"     $f 'for (; j < stretches.first[0]; ++j) kept[j] = 0;' 'j = stretches.first[0];' softmax_loss phases
mutate "serial: a stretch not noted"                      $f 'if (begin == 0 || !reaches) stretches.add' 'if (begin == 0) stretches.add' softmax_loss phases
mutate "serial: the target's e waits"                     $f 'else if constexpr (paired_pass<F>) f.forget(At{j}, 0);' '' softmax_loss
f=team/simd.hpp
mutate "simd: hole not skipped"                           $f 'bool const here = hole >= 0 && hole < count;' 'bool const here = false;' backends
mutate "simd: the tail's mask one off"                    $f ': P::first_lanes(count);' ': P::first_lanes(count - 1);' backends
mutate "simd: lanes before the hole lost"                 $f 'P::first_lanes(hole) |' 'P::first_lanes(0) |' backends
mutate "simd: the row's end not written"                 $f 'if (j < n) f(Some{j, n - j});' '' heads
mutate "simd: the end of a row summed unmasked"          $f 'sums.add(careful<Sums>(c, Some{full, end - full}, end - full,' 'sums.add(careful<Sums>(c, Some{full, end - full}, W,' backends
mutate "simd: outside cosines not clamped"                $f 'if (any_outside<F>(x0, x1, x2, x3)) [[unlikely]]' 'if (false)' edges
mutate "simd: accumulate forgets the target's place"      $f 'waiting_.end.slope += g[y];' ';' backends
mutate "simd: stretches not made alike"                   $f 'j.store(from, factor * j.load(from));' '' softmax_loss phases
mutate "simd: a stretch not noted"                        $f 'if (stretches && (begin == 0 || !reaches))' 'if (stretches && begin == 0)' softmax_loss phases
mutate "simd: the largest logit of a block without its end" $f 'if (full < end) tops[0] = max' 'if (false) tops[0] = max' softmax_loss phases
mutate "simd: the target among the largest"               $f 'select(lanes_but(hole - j, W), r_of(P::load(c + j)), lowest)' 'r_of(P::load(c + j))' softmax_loss phases
mutate "simd: the target's e waits"                       $f 'if (hole >= j && hole < j + count) f.forget' ';if (false) f.forget' softmax_loss phases
mutate "stretches: one too many dropped"                  team/cosines.hpp 'first[k - 1] = first[k], at[k - 1] = at[k]' 'at[k - 1] = at[k]' softmax_loss phases
mutate "simd: what waits for a shorter block is not ended" $f 'if (end < begin + block) finish_waiting();' '' heads
mutate "simd: one stage for two blocks"                  $f 'stages[begin / block % 2]' 'stages[0]' heads
mutate "simd: what is added is not scaled"               $f 'to.add(g + begin, P(factor) * to.load(stage));' 'to.add(g + begin, to.load(stage));' heads
mutate "simd: the first end of a streamed row"           $f 'for (idx j = 0; j < w.aligned; ++j)' 'for (idx j = 1; j < w.aligned; ++j)' heads
mutate "simd: a row written back to front loses its tail" $f 'if (whole < waiting_.n) pipelined(Some{whole, waiting_.n - whole});' '' backends
f=core/twice.hpp
mutate "twice: the halves of a sum"                      $f '(a_ + b_).sum()' 'a_.sum()' heads
mutate "twice: the second half's tail"                   $f 'P::load_some(p + P::width, m - P::width)' 'P::load_some(p, m - P::width)' heads
mutate "twice: the second half's mask"                   $f 'P::first_lanes(m > P::width ? m - P::width : 0)' 'P::first_lanes(m)' heads golden
mutate "an ending: what all classes get alike dropped"    team/cosines.hpp 'if constexpr (Adds) return' 'if constexpr (false) return' smoothing
f=team/lanes.hpp
mutate "lanes: no barrier before the warps' sums are read" $f '*this->template warp_slot<X>(lane / warp) = x;
      this->sync();' '*this->template warp_slot<X>(lane / warp) = x;' lanes_tsan
mutate "lanes: no barrier before the sum is read"        $f 'this->sync();
      x = *all;' 'x = *all;' lanes_tsan
mutate "lanes: a warp's sum is no barrier"               $f 'this->sync();  // a shuffle orders no memory' '' lanes_tsan
mutate "lanes: no barrier between blocks"                $f '        this->sync_blocks();' '' lanes_tsan
mutate "lanes: blocks always post in one place"          $f 'turn_ = !turn_;' ';' lanes_tsan
mutate "lanes: a block's sum forgotten"                  $f 'for (int b = 1; b < this->blocks(); ++b)' 'for (int b = 2; b < this->blocks(); ++b)' lanes
mutate "lanes: what was asked for is not waited for"     $f 'group_.wait_copies();  // of prefetch_row' '' lanes
mutate "lanes: the tail one short"                       $f 'n + shift_ - idx(packs - 1) * W)' 'n + shift_ - idx(packs - 1) * W - 1)' lanes
mutate "lanes: the row begins at its pack"               $f 'pack == 0 ? shift : 0' '0' lanes
mutate "lanes: the shift of 8 bytes"                     $f '% 16 / sizeof(S)' '% 8 / sizeof(S)' lanes
mutate "lanes: 32-bit positions"                         $f 'idx(pack) * W - shift' 'pack * W - shift' lanes
mutate "lanes: a cluster's lanes take each other's packs" $f 'pack += stride;' 'pack += Group::lanes;' lanes
mutate "lanes: hole not skipped"                         $f 'l >= 0 && l < W) one = without' 'false) one = without' lanes
mutate "lanes: lanes outside the row summed"             $f 'if (!at.whole()) one = within(one, at.from, at.to);' '' lanes
mutate "lanes: outside cosines not clamped" $f 'if (!inside)' 'if (false)' lanes
mutate "lanes: odd by the spacing of what computes"      $f 'clamped_cosine<T, S>(raw' 'clamped_cosine<T, T>(raw' lanes_device
mutate "lanes: accumulate assigns"                       $f 'add ? at.add(g, x) : at.store(g, x);' 'at.store(g, x);' lanes
mutate "lanes: the target's slope dropped"                $f 'if (l == target) x.v[l] = end.slope;' '' lanes
mutate "lanes: the target among the largest"              $f 'at.j + l != hole) all.add' 'true) all.add' softmax_loss lanes
mutate "lanes: the target's e waits"                      $f 'f.forget(at, static_cast<int>(l));' ';' softmax_loss lanes
mutate "lanes: each lane its own largest"                 $f 'double(group_.together(all).r)' 'double(all.r)' softmax_loss lanes
mutate "lanes: every lane does what one should"          $f 'if (lane() == 0) f();' 'f();' lanes_tsan
mutate "lanes: no room for a pack that the shift adds"   $f 'packs = (n + W - 1 + W - 1) / W' 'packs = (n + W - 1) / W' lanes
mutate "lanes: room for what is stored only"             $f 'Group::lanes) * sizeof(P)' 'Group::lanes) * 16' lanes_device
f=team/pack.hpp
mutate "pack: one number too many stored"                $f 'if (i >= from && i < to) p[i]' 'if (i >= from && i <= to) p[i]' lanes
mutate "pack: a neighbour's number kept"                 $f '? p[i] : static_cast<S>(scalar(0))' '? p[i] : p[i]' lanes
mutate "the target's cosine overwritten before it is read (gradient)" row/row.hpp 'team.sync();  // the target was read' '' lanes_tsan
f=loss/logits.hpp
mutate "the target's cosine overwritten before it is read (logits)" $f 'team.sync();  // the target was read
    team.sum(cosines.row(i), n, start.label' 'team.sum(cosines.row(i), n, start.label' lanes_tsan
mutate "the target's upstream overwritten before it is read" $f 'team.sync();  // the target was read
    team.sum(cosines.row(i), n, y,' 'team.sum(cosines.row(i), n, y,' lanes_tsan
f=loss/report.hpp
mutate "device: labels not checked"                      $f 'if (label(i) < 0 || label(i) >= batch.cosines.cols) return' 'if (label(i) < 0) return' lanes_device
mutate "device: an ignored row at fault"                 $f 'if (ignored(i)) return {};' '' lanes_device
mutate "device: the ceiling of scales not checked"       $f '&& s <= options.scale_ceiling && s' '&& s' lanes_device
mutate "device: the last fault"                          $f 'b.fault.row < all.fault.row' 'b.fault.row > all.fault.row' lanes_device
mutate "device: faulty rows keep their gradient"          loss/rows.hpp 'if (this->fault(i).what != Fault::none) return start;' '' lanes_device
mutate "device: faulty rows keep their gradient in logits_backward" loss/logits.hpp 'if (start.faulty) {' 'if (false) {' lanes_device
mutate "device: margins not checked"                      $f '!margin_numbers.contains(m.number)' 'false' lanes_device row_policies
mutate "device: rest rules' numbers not checked"          $f '!rest_numbers.contains(r.number)' 'false' lanes_device curricular
mutate "device: faulty rows not counted as valid"        $f 'if (rows.ignored(i)) return;' 'if (rows.skipped(i)) return;' lanes_device
mutate "advance: a bad row counted (ScaleStatistics)"     loss/advance.hpp 'if (start.skipped) {' 'if (start.skipped && !start.faulty) {' lanes_device
mutate "advance: a bad row counted (TargetStatistics)"    loss/advance.hpp 'if (rows.skipped(i)) return;' 'if (rows.ignored(i)) return;' lanes_device curricular
mutate "advance: the state's scale not read"              loss/advance.hpp 'plain.scale = scale_of(state);' '' edges
mutate "clamped border at 1 eps"                         team/cosines.hpp '1 + 16 * stored' '1 + 1 * stored' edges
mutate "infinite cosines clamped"                        team/cosines.hpp 'return T(NAN);' '' edges
# --- heads
mutate "normalise: backward not projected"                head/normalize.hpp 'slope - dot(team, unit, d, y.cols) / n' 'slope' laws
mutate "normalise: dL/dn dropped"                        head/normalize.hpp 'dnorms.data ? double(dnorms[i]) : 0' '0' laws
mutate "normalise: 1/n dropped"                           head/normalize.hpp 'multiply_add(X(inverse.second), X(inverse.first) * at.load(d)' 'multiply_add(X(inverse.first), at.load(d)' laws
mutate "normalise: tiny rows divided"                    head/normalize.hpp 'bool const none = n < smallest_norm<T>;' 'bool const none = false;' edges
mutate "points: upstream dropped"                        loss/point_loss.hpp 'T(upstream / *divisor)' 'T(1 / *divisor)' heads golden
mutate "points: weights dropped"                         loss/point_loss.hpp 'jet = {weight * jet.value, weight * jet.slope};' '' heads edges

wait
cat "$work"/*.line | sort >"$work/all"
killed=$(grep -c 'killed by' "$work/all")
echo
echo "$killed of $number mutations killed"
[[ $killed == "$number" ]]
