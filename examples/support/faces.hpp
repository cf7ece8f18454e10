// The typefaces of the demos, by family.
//
// Many files are relatives: weights, regional forms, a rename or a free redrawing of the same outlines. Two
// faces whose centred glyphs correlate above 0.8 on average are put into one family here (measured over 150
// characters; AR PL and BabelStone 0.90, cwTeX Hei and Yen 0.83, Droid and WQY Micro Hei 1.00). A family is
// either trained on or tested with, never both; the closest test face to any training face is VL Gothic, 0.70
// to Motoya.
#pragma once

#include <array>

#include "glyphs.hpp"

namespace demo {

inline constexpr std::array training_faces{
    Face{"Noto Sans", "opentype/noto/NotoSansCJK-Regular.ttc", 0, "fonts-noto-cjk"},
    Face{"Noto Sans", "opentype/noto/NotoSansCJK-Regular.ttc", 3, "fonts-noto-cjk"},
    Face{"Noto Sans", "opentype/noto/NotoSansCJK-Bold.ttc", 0, "fonts-noto-cjk"},
    Face{"Noto Serif", "opentype/noto/NotoSerifCJK-Regular.ttc", 0, "fonts-noto-cjk"},
    Face{"Noto Serif", "opentype/noto/NotoSerifCJK-Regular.ttc", 3, "fonts-noto-cjk"},
    Face{"Noto Serif", "opentype/noto/NotoSerifCJK-Bold.ttc", 0, "fonts-noto-cjk"},
    Face{"IPA Gothic", "opentype/ipaexfont-gothic/ipaexg.ttf", 0, "fonts-ipaexfont-gothic"},
    Face{"IPA Mincho", "opentype/ipaexfont-mincho/ipaexm.ttf", 0, "fonts-ipaexfont-mincho"},
    Face{"Arphic Kai", "truetype/arphic-bkai00mp/bkai00mp.ttf", 0, "fonts-arphic-bkai00mp"},
    Face{"Arphic Ming", "truetype/arphic-bsmi00lp/bsmi00lp.ttf", 0, "fonts-arphic-bsmi00lp"},
    Face{"Arphic Ming", "truetype/babelstone/BabelStoneHan.ttf", 0, "fonts-babelstone-han"},
    Face{"VL Gothic", "truetype/vlgothic/VL-Gothic-Regular.ttf", 0, "fonts-vlgothic"},
    Face{"cwTeX Kai", "truetype/cwtex/cwkai.ttf", 0, "fonts-cwtex-kai"},
    Face{"cwTeX Ming", "truetype/cwtex/cwming.ttf", 0, "fonts-cwtex-ming"},
    Face{"cwTeX Hei", "truetype/cwtex/cwheib.ttf", 0, "fonts-cwtex-heib"},
    Face{"cwTeX Hei", "truetype/cwtex/cwyen.ttf", 0, "fonts-cwtex-yen"},
    Face{"Ume Gothic", "truetype/horai-umefont/ume-tgo4.ttf", 0, "fonts-horai-umefont"},
    Face{"Ume Mincho", "truetype/horai-umefont/ume-tmo3.ttf", 0, "fonts-horai-umefont"},
    Face{"Motoya", "truetype/motoya-l-cedar/MTLc3m.ttf", 0, "fonts-motoya-l-cedar"},
    Face{"Droid", "truetype/droid/DroidSansFallbackFull.ttf", 0, "fonts-droid-fallback"},
};

inline constexpr std::array test_faces{
    Face{"cwTeX Fangsong", "truetype/cwtex/cwfs.ttf", 0, "fonts-cwtex-fs"},
    Face{"WQY Zen Hei", "truetype/wqy/wqy-zenhei.ttc", 0, "fonts-wqy-zenhei"},
    Face{"Hanazono", "truetype/hanazono/HanaMinA.ttf", 0, "fonts-hanazono"},
    Face{"TW Sung", "truetype/cns11643/TW-Sung-98_1.ttf", 0, "fonts-cns11643-sung"},
    Face{"TW Kai", "truetype/cns11643/TW-Kai-98_1.ttf", 0, "fonts-cns11643-kai"},
};

}  // namespace demo
