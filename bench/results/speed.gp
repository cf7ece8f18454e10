# README's chart, from the rows of torch in a results file:
#
#   gnuplot -e "results='bench/results/cpu-epyc-avx512.md'" bench/results/speed.gp > bench/results/speed.svg
rows(of) = "< awk -F' *[|] *' '$2 == \"torch, in place\" && $5 == \"" . of . "\" {print $3, $4}' " . results
set terminal svg size 760,250 font 'DejaVu Sans,12' background '#ffffff'
set title "times as fast as PyTorch 2.13: ArcFace, loss and gradient of B x C cosines, 2 threads" font ',13' textcolor '#222222'
set style data histogram
set style histogram clustered gap 1
set style fill solid 0.95 noborder
set boxwidth 0.85
set border 1 linecolor '#888888'
set tics nomirror textcolor '#444444'
unset ytics
set yrange [0:*]
set offsets 0, 0, 2, 0
set key outside right center reverse Left samplen 1.4 spacing 1.4 textcolor '#222222'
plot rows('best eager, raised') using 2:xtic(1) linecolor '#0072b2' title 'its best eager code', \
     rows('torch.compile') using 2 linecolor '#e69f00' title 'torch.compile', \
     rows('best eager, raised') using ($0 - 0.17):($2 + 0.8):(sprintf('%.0f', $2)) with labels textcolor '#222222' notitle, \
     rows('torch.compile') using ($0 + 0.17):($2 + 0.8):(sprintf('%.0f', $2)) with labels textcolor '#222222' notitle
