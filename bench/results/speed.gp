# README's chart, from the rows of torch in a results file:
#
#   gnuplot -e "results='bench/results/cpu-epyc-avx512.md'" bench/results/speed.gp > bench/results/speed.svg
rows(of) = "< awk -F' *[|] *' '$2 == \"torch, in place\" && $5 == \"" . of . "\" {print $3, $4}' " . results
set terminal svg size 760,270 font 'DejaVu Sans,12' background '#ffffff'
set title "ArcFace, loss and gradient of B x C cosines in place: times as fast as PyTorch 2.13" font ',13' textcolor '#222222'
set style data histogram
set style histogram clustered gap 1
set style fill solid 0.95 noborder
set boxwidth 0.85
set border 1 linecolor '#888888'
set tics nomirror textcolor '#444444'
unset ytics
set yrange [0:*]
set xrange [-0.6:3.4]
set offsets 0, 0, 2, 0
set lmargin 2
set rmargin 2
set xtics scale 0
set key at graph 0.99, graph 0.95 right top reverse Left samplen 1.4 spacing 1.4 textcolor '#222222'
plot rows('best eager, raised') using 2:xtic(1) linecolor '#0072b2' title 'its best eager code', \
     rows('torch.compile') using 2 linecolor '#e69f00' title 'torch.compile', \
     rows('best eager, raised') using ($0 - 0.17):($2 + 0.9):(sprintf('%.0f', $2)) with labels textcolor '#222222' notitle, \
     rows('torch.compile') using ($0 + 0.17):($2 + 0.9):(sprintf('%.0f', $2)) with labels textcolor '#222222' notitle
