#!/usr/bin/env bash
# Mutation proof: breaks the library in named ways, one line at a time, and shows which test case notices. By hand:
#
#   tests/mutations/run.sh              all of them, about an hour on two cores
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
: "${TESTS:=laws golden edges backends errors heads accuracy lanes lanes_tsan lanes_device edges_native math_native}"
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
  if ! OLD=$old NEW=$new perl -0777 -pi -e 's/\Q$ENV{OLD}\E/$ENV{NEW}/ or $missing = 1; END { exit($missing ? 3 : 0) }' "$copy/losskit/$file"; then
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
mutate "Monotone: the slope keeps its sign"              $f 'ratio = abs(ratio);' 'ratio = ratio;' laws
mutate "slope without m1"                                $f 'return fma(X(m1_), ratio, lost<X>(m1_) * ratio);' 'return ratio;' laws
mutate "slope divided by sin(theta) no more"             $f ': at).sin / sqrt(fma(-inside, inside, X(1)));' ': at).sin;' laws
mutate "m3 added"                                        $f 'if (m1_ == 1 && m2_ == 0 && !is<Easy> && !is<Clamp>) return c - m3_;' 'if (m1_ == 1 && m2_ == 0 && !is<Easy> && !is<Clamp>) return c + m3_;' laws
mutate "angle sum: a sign"                               $f 'multiply_add(X(p.sin), cos_t, side * p.cos * sin_t);' 'multiply_add(X(p.sin), cos_t, -side * p.cos * sin_t);' laws
mutate "the angle from c = -1 turns the wrong way"       $f 'X const t = side * atan2(s, a)' 'X const t = atan2(s, a)' laws
mutate "far end: the rest of P without m1 pi"            $f 'std::sin(part), part, whole' 'std::sin(part), m2, whole' laws
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
mutate "slope at 1 taken far from 1"                     $f 'X const nearest = 1 - below_one<X>;' 'X const nearest = 1 - 1e-3;' laws edges
mutate "Detached: slope not 1"                           $f 'return {{psi, X(1)}, plain};' 'return {{psi, X(2)}, plain};' laws
mutate "value not clamped to [-1, 1]"                    $f 'X const v = min(max(c, X(-1)), X(1));' 'X const v = c;' laws
mutate "NaN clamped away"                                $f 'X const v = min(max(c, X(-1)), X(1));' 'X const v = max(X(-1), min(X(1), c));' laws
mutate "raw with the rule's -2k"                         $f 'return turned(min(max(c, X(-1)), X(1))).cos - m3_;' 'return turned(min(max(c, X(-1)), X(1))).cos;' laws golden edges
mutate "NoMargin: slope"                                 margin/none.hpp 'X(1)), 1};' 'X(1)), 2};' laws
mutate "Annealed: lambda missing in the slope"           margin/annealed.hpp '(lambda_ + psi.slope)' '(psi.slope)' laws
mutate "Annealed: not divided"                           margin/annealed.hpp ', psi) / (1 + lambda_);' ', psi) / (1);' laws
mutate "Annealed: raw is the annealed value"             margin/annealed.hpp 'return mixed(c, threshold_of(margin_, c));' 'return target(c).value;' laws golden
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
mutate "FocalLoss: gamma dropped from the slope"         objective/focal.hpp '(gamma_ * exp(log_p)' '(exp(log_p)' laws
mutate "FocalLoss: p for q"                              objective/focal.hpp 'X const q = -expm1(log_p);' 'X const q = exp(log_p);' laws
mutate "FocalLoss: alpha dropped"                        objective/focal.hpp 'alpha_ * (gamma_ == 2' '(gamma_ == 2' laws
mutate "FeatureNorm: slope beyond the ceiling"           scale/feature_norm.hpp '{X(high_), X(0)}' '{X(high_), X(1)}' laws
mutate "FeatureNorm: no floor"                           scale/feature_norm.hpp 'return {X(low_), X(0)};' 'return {norm, X(1)};' laws
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
mutate "odds beyond range: the loss without ln Z"        $f '::log(z) + x' 'x' edges
mutate "odds beyond range not seen"                      $f 'odds <= 1e300' 'odds == odds' edges
mutate "s missing in the target's gradient"              $f 'd * s * psi.slope' 'd * psi.slope' laws
mutate "psi' missing in the target's gradient"           $f 'd * s * psi.slope' 'd * s' laws
mutate "weight missing in the gradient"                  $f 'weight * o.slope.v * q' 'o.slope.v * q' laws
mutate "weight missing in the loss"                      $f 'return {weight * o.value.v,' 'return {o.value.v,' laws
mutate "the objective's slope dropped"                   $f 'weight * o.slope.v * q' '-weight * q' laws
mutate "r' missing in what is kept"                      $f 'keep_at(at, kept, e * r.slope)' 'keep_at(at, kept, e)' laws
mutate "dL/ds without the classes"                       $f 'd * (psi.value - mean)' 'd * psi.value' laws
mutate "the shift forgotten"                             $f 'x = shift - s * psi.value' 'x = -s * psi.value' edges
mutate "one class divides by zero"                       $f 'bool const alone = z == 0;' 'bool const alone = false;' edges
mutate "ties count as right"                             $f '!(raw < c_y)' 'raw > c_y' edges
mutate "a factor out of range"                           $f '< 0.5 * stored' '< 1e300 * stored' edges
mutate "saved pass: r' missing"                          $f 'exp_of(r.value)) * r.slope' 'exp_of(r.value))' laws backends
mutate "logistic: what e^-a loses is lost"               core/math.hpp 'u_low = multiply_add(s, r_low, product_minus(s, g, u - s))' 'u_low = P(0)' math_native
mutate "logistic: what the quotient loses is lost"       core/math.hpp 'multiply_add(-larger, u_low, -product_minus(larger, u, 1 - larger))' 'P(0)' math_native
mutate "exp2: a product that is flushed, by a table"      core/math.hpp 'fuses ? multiply_add(g, s, s) : s * (g + 1)' 'g * s + s' edges_native
mutate "exp2: a product that is flushed without FMA"      core/math.hpp 'fuses ? multiply_add(g, s, s) : s * (g + 1)' 'multiply_add(g, s, s)' edges
f=row/exponential.hpp
mutate "bounded: pairs too late"                         $f '<= 2 * last;' '<= 4 * last;' edges
mutate "bounded: a double's sums up to its end"          $f '(sizeof(T) == 8 ? 76 : 0)' '0' edges
mutate "bounded: the scale rounded to float"             $f 'T(exact - double(k))' 'T(0)' accuracy
mutate "bounded: target and rest of other scales"        $f '(double(k) + double(k_low)) * ln2' 'double(k) * 0.6931472' accuracy edges
mutate "bounded: the shift in the wrong base"            $f 'return double(h) * ln2; }' 'return double(h); }' edges
mutate "pairs: not the larger one"                       $f 'max(m, b.m)' 'min(m, b.m)' edges
# --- calls
f=loss/margin_softmax.hpp
mutate "upstream per row dropped"                        $f '* (batch.upstream.data ? double(batch.upstream[i]) : 1)' '' laws
mutate "upstream factor dropped"                         $f 'return options.upstream *' 'return 1 *' laws
mutate "class weight dropped"                            $f '* (batch.class_weights.data ? double(batch.class_weights[label(i)]) : 1)' '' laws
mutate "mean over all rows"                              $f 'Reduction::mean            ? sum.valid' 'Reduction::mean            ? double(rows)' laws
mutate "weighted mean over rows"                         $f '? sum.weights' '? sum.valid' laws
mutate "an ignored row keeps its gradient"               $f 'if (Gradient && rows.options.write == Write::assign)' 'if (false)' edges
mutate "an ignored row is erased when accumulating"      $f 'if (Gradient && rows.options.write == Write::assign)' 'if (Gradient)' edges
mutate "logits: the target without its margin"           $f 'T(rows.scale(i) * at_y.psi.value)' 'T(rows.scale(i) * double(at_y.cosine))' laws
mutate "logits_backward: s missing"                      $f 'X const k = T(rows.scale(i) * u)' 'X const k = T(u)' laws
mutate "logits_backward: psi slope missing"              $f 'dz_y * at_y.psi.slope' 'dz_y' laws
mutate "labels not checked"                              $f '(y < 0 || y >= cols)' '(y < 0)' errors
mutate "NaN cosine in a one-class row"                   $f '(sums.above.v) + lost;' '(sums.above.v);' edges
mutate "upstream twice in a saved backward"              $f 'rows.upstream(i) * saved[i].slope' 'rows.upstream(i) * rows.upstream(i) * saved[i].slope' laws backends
# --- teams
f=team/serial.hpp
mutate "serial: hole not skipped"                        $f 'if (j != hole) total' 'total' laws
mutate "serial: accumulate assigns"                      $f 'accumulate_ ? g[j] + factor * kept[j] : factor * kept[j]' 'factor * kept[j]' laws
f=team/simd.hpp
mutate "simd: hole not skipped"                          $f 'bool const here = hole >= j && hole < j + count;' 'bool const here = false;' backends
mutate "simd: the tail's mask one off"                   $f ': P::first_lanes(count));' ': P::first_lanes(count - 1));' backends
mutate "simd: lanes before the hole lost"                $f 'P::first_lanes(hole - j) |' 'P::first_lanes(0) |' backends
mutate "simd: the row's end not written"                 $f 'if (j < n) f(Some{j, n - j});' '' heads
mutate "simd: the end of a row summed unmasked"          $f 'sums.add(careful<Sums>(c, Some{full, end - full}, end - full,' 'sums.add(careful<Sums>(c, Some{full, end - full}, W,' backends
mutate "simd: outside cosines not clamped_cosine"                 $f 'if (P::any_outside(x0, x1, x2, x3)) [[unlikely]]' 'if (false)' edges
mutate "simd: accumulate forgets the target's place"     $f 'waiting_.slope += g[y];' ';' backends
mutate "simd: what waits for a shorter block is not ended" $f 'if (end < begin + block) finish_waiting();' '' heads
mutate "simd: one stage for two blocks"                  $f 'stages[begin / block % 2]' 'stages[0]' heads
mutate "simd: what is added is not scaled"               $f 'to.add(g + begin, P(factor) * to.load(stage));' 'to.add(g + begin, to.load(stage));' heads
mutate "simd: the first end of a streamed row"           $f 'for (idx j = 0; j < w.aligned; ++j)' 'for (idx j = 1; j < w.aligned; ++j)' heads
mutate "simd: a row written back to front loses its tail" $f 'if (whole < waiting_.n) pipelined(Some{whole, waiting_.n - whole});' '' backends
f=core/twice.hpp
mutate "twice: the halves of a sum"                      $f '(a_ + b_).sum()' 'a_.sum()' heads
mutate "twice: the second half's tail"                   $f 'P::load_some(p + P::width, m - P::width)' 'P::load_some(p, m - P::width)' heads
mutate "twice: the second half's mask"                   $f 'P::first_lanes(m > P::width ? m - P::width : 0)' 'P::first_lanes(m)' heads golden
f=team/lanes.hpp
mutate "lanes: no barrier before the warps' sums are read" $f '*this->template warp_slot<X>(lane / warp) = x;
      this->sync();' '*this->template warp_slot<X>(lane / warp) = x;' lanes_tsan
mutate "lanes: no barrier before the sum is read"        $f 'this->sync();
      x = *all;' 'x = *all;' lanes_tsan
mutate "lanes: a warp's sum is no barrier"               $f 'this->sync();  // a shuffle orders no memory' '' lanes_tsan
mutate "lanes: no barrier between blocks"                $f '        this->sync_blocks();' '' lanes_tsan
mutate "lanes: blocks always post in one place"          $f 'turn_ = !turn_;' ';' lanes_tsan
mutate "lanes: a block's sum forgotten"                  $f 'for (int b = 1; b < this->blocks(); ++b)' 'for (int b = 2; b < this->blocks(); ++b)' lanes
mutate "lanes: what was asked for is not waited for"     $f 'group_.arrived();' '' lanes
mutate "lanes: the tail one short"                       $f 'n + shift_ - idx(packs - 1) * W)' 'n + shift_ - idx(packs - 1) * W - 1)' lanes
mutate "lanes: the row begins at its pack"               $f 'pack == 0 ? shift : 0' '0' lanes
mutate "lanes: the shift of 8 bytes"                     $f '% 16 / sizeof(S)' '% 8 / sizeof(S)' lanes
mutate "lanes: 32-bit positions"                         $f 'idx(pack) * W - shift' 'pack * W - shift' lanes
mutate "lanes: a cluster's lanes take each other's packs" $f 'pack += stride;' 'pack += Group::lanes;' lanes
mutate "lanes: hole not skipped"                         $f 'l >= 0 && l < W) one = without' 'false) one = without' lanes
mutate "lanes: lanes outside the row summed"             $f 'if (!at.whole()) one = within(one, at.from, at.to);' '' lanes
mutate "lanes: outside cosines not clamped_cosine"                $f 'if (!inside)' 'if (false)' lanes
mutate "lanes: odd by the spacing of what computes"      $f 'clamped_cosine<T, S>(raw' 'clamped_cosine<T, T>(raw' lanes_device
mutate "lanes: accumulate assigns"                       $f 'add ? at.add(g, x) : at.store(g, x);' 'at.store(g, x);' lanes
mutate "lanes: the target's slope dropped"               $f 'if (l == target) x.v[l] = slope;' '' lanes
mutate "lanes: every lane does what one should"          $f 'if (lane() == 0) f();' 'f();' lanes_tsan
mutate "lanes: no room for a pack that the shift adds"   $f 'packs = (n + W - 1 + W - 1) / W' 'packs = (n + W - 1) / W' lanes
mutate "lanes: room for what is stored only"             $f 'Group::lanes) * sizeof(P)' 'Group::lanes) * 16' lanes_device
f=team/pack.hpp
mutate "pack: one number too many stored"                $f 'if (i >= from && i < to) p[i]' 'if (i >= from && i <= to) p[i]' lanes
mutate "pack: a neighbour's number kept"                 $f '? p[i] : static_cast<S>(scalar(0))' '? p[i] : p[i]' lanes
mutate "the target's cosine overwritten before it is read (gradient)" row/row.hpp 'team.sync();  // the target was read' '' lanes_tsan
f=loss/margin_softmax.hpp
mutate "the target's cosine overwritten before it is read (logits)" $f 'team.sync();  // the target was read
    auto const sums = team.sum(c, n, skipped ? -1 : y, odd, Sums{}, [=](Sums& sum, auto at, X raw' 'auto const sums = team.sum(c, n, skipped ? -1 : y, odd, Sums{}, [=](Sums& sum, auto at, X raw' lanes_tsan
mutate "the target's upstream overwritten before it is read" $f 'team.sync();  // the target was read
    auto const sums = team.sum(c, n, skipped ? -1 : y, odd, Sums{}, [=](Sums& sum, auto at, X, X x)' 'auto const sums = team.sum(c, n, skipped ? -1 : y, odd, Sums{}, [=](Sums& sum, auto at, X, X x)' lanes_tsan
mutate "device: labels not checked"                      $f 'if (label(i) < 0 || label(i) >= batch.cosines.cols) return' 'if (label(i) < 0) return' lanes_device
mutate "device: an ignored row at fault"                 $f 'if (ignored(i)) return {};' '' lanes_device
mutate "device: the ceiling of scales not checked"       $f '&& s <= options.scale_ceiling)' ')' lanes_device
mutate "device: the last fault"                          $f 'b.fault.row < fault.row' 'b.fault.row > fault.row' lanes_device
mutate "device: faulty rows keep their gradient"         $f 'return ignored(i) || fault(i).what != Fault::none;' 'return ignored(i);' lanes_device
mutate "device: faulty rows keep their gradient in logits_backward" $f 'if (rows.fault(i).what != Fault::none) {' 'if (false) {' lanes_device
mutate "device: faulty rows not counted as valid"        $f 'if (rows.ignored(i)) return;' 'if (rows.skipped(i)) return;' lanes_device
mutate "advance: a bad row counted"                      loss/advance.hpp 'if (rows.skipped(i)) {' 'if (rows.ignored(i)) {' lanes_device
mutate "advance: the state's scale not read"             loss/advance.hpp 'rows.batch.scale = scale_of(state);' '' edges
mutate "clamped border at 1 eps"                         team/cosines.hpp '1 + 16 * stored' '1 + 1 * stored' edges
mutate "infinite cosines clamped"                        team/cosines.hpp 'return T(NAN);' '' edges
# --- heads
mutate "normalise: backward not projected"               head/normalize.hpp '-dot(team, unit, d, y.cols)' 'double(0)' laws
mutate "normalise: dL/dn dropped"                        head/normalize.hpp 'dnorms.data ? double(dnorms[i]) : 0' '0' laws
mutate "normalise: 1/n dropped"                          head/normalize.hpp 'multiply_add(X(k), at.load(d)' 'multiply_add(X(1), at.load(d)' laws
mutate "normalise: tiny rows divided"                    head/normalize.hpp 'bool const none = n < smallest_norm<T>;' 'bool const none = false;' edges
mutate "points: upstream dropped"                        loss/point_loss.hpp 'T(upstream / *divisor)' 'T(1 / *divisor)' heads golden
mutate "points: weights dropped"                         loss/point_loss.hpp 'jet = {weight * jet.value, weight * jet.slope};' '' heads edges

wait
cat "$work"/*.line | sort >"$work/all"
killed=$(grep -c 'killed by' "$work/all")
echo
echo "$killed of $number mutations killed"
[[ $killed == "$number" ]]
