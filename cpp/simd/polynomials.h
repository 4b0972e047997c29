// Polynomials of math.h: interpolation at Chebyshev nodes, in 60 digits, of the function named in
// each note over the interval named there. Only fused multiply-adds in a written order, so the bits
// are the same at every level.
#pragma once

#include "simd/vec.h"

namespace lazulite::simd {
namespace {

/// c0 + c1 x + c2 x^2 + ...; long ones as two interleaved chains, which halves the latency.
template <class V> LAZULITE_INLINE V horner(V, double c) { return K<V>(c); }
template <class V, class... C> LAZULITE_INLINE V horner(V x, double c, C... rest) {
  return fma(horner(x, rest...), x, K<V>(c));
}
/// c0 + c2 x2 + c4 x2^2 + ...
template <class V> LAZULITE_INLINE V every_other(V, double c) { return K<V>(c); }
template <class V> LAZULITE_INLINE V every_other(V, double c, double) { return K<V>(c); }
template <class V, class... C>
LAZULITE_INLINE V every_other(V x2, double c0, double, double c2, C... rest) {
  return fma(every_other(x2, c2, rest...), x2, K<V>(c0));
}
template <class V, class... C>
LAZULITE_INLINE V poly_odd(V x, V x2, double c0, double c1, C... rest) {
  return fma(every_other(x2, c1, rest...), x, every_other(x2, c0, c1, rest...));
}
template <class V, class... C> LAZULITE_INLINE V poly(V x, C... c) {
  if constexpr (sizeof...(C) < 6) {
    return horner(x, c...);
  } else {
    V x2 = x * x;
    return poly_odd(x, x2, c...);
  }
}

/// (exp(x) - 1 - x) / x^2 for |x| <= ln(2) / 2.
template <class V> LAZULITE_INLINE V exp_tail(V x) {
  if constexpr (sizeof(typename V::scalar) == 4) {
    return poly(x, 0.5, 0.1666657554, 0.04166655281, 0.00836341962, 0.00139264841);
  } else {
    return poly(x, 0.5, 0.1666666666666667117, 0.04166666666666666988, 0.008333333333325900531,
                0.001388888888888358078, 0.0001984126987563749799, 0.00002480158732613107814,
                2.755725436822675003e-6, 2.755727290616548073e-7, 2.510564479145537015e-8,
                2.091499245327923974e-9);
  }
}

/// (2^x - 1) / x for |x| <= 1/2; of floats.
template <class V> LAZULITE_INLINE V exp2_tail(V x) {
  return poly(x, 0.693147188, 0.2402265076, 0.05550357114, 0.009618082557, 0.001339086336,
              0.0001545316295);
}

/// (sin(r) - r) / r^3 of x = r^2, |r| <= 0.8.
template <class V> LAZULITE_INLINE V sin_tail(V x) {
  if constexpr (sizeof(typename V::scalar) == 4) {
    return poly(x, -0.1666666666, 0.008333331705, -0.0001983999661, 2.723845463e-6);
  } else {
    return poly(x, -0.1666666666666666667, 0.008333333333333331037, -0.0001984126984126410019,
                2.75573192186025762e-6, -2.505210598135075129e-8, 1.605849255672989153e-10,
                -7.584436884170301328e-13);
  }
}

/// (cos(r) - 1 + r^2 / 2) / r^4 of x = r^2, |r| <= 0.8.
template <class V> LAZULITE_INLINE V cos_tail(V x) {
  if constexpr (sizeof(typename V::scalar) == 4) {
    return poly(x, 0.04166666666, -0.001388888753, 2.480052515e-5, -2.729138474e-7);
  } else {
    return poly(x, 0.04166666666666666667, -0.001388888888888888761, 0.00002480158730158411004,
                -2.755731922099329385e-7, 2.087675565147440289e-9, -1.147043916948170503e-11,
                4.74461523518364247e-14);
  }
}

/// (log(1 + x) - x + x^2 / 2) / x^3 for sqrt(0.5) <= 1 + x <= sqrt(2), times `by`; of floats.
template <class V> LAZULITE_INLINE V log_tail(V x, double by = 1) {
  return poly(x, 0.3333333112 * by, -0.2499999663 * by, 0.200007305 * by, -0.1666785097 * by,
              0.1424855126 * by, -0.1242403772 * by, 0.1168907114 * by, -0.1149454661 * by,
              0.06980701959 * by);
}

/// log2(1 + x) / x for the same x, good to 1.2e-10; of doubles, for powers of floats.
template <class V> LAZULITE_INLINE V log2_over(V x) {
  return poly(x, 1.442695040958230186, -0.7213475248945522109, 0.4808983110824001928,
              -0.360672845348936007, 0.2885414555359771608, -0.2405027982500117202,
              0.2060716510991412866, -0.179051232033224635, 0.1593130052234844519,
              -0.1572265297115304788, 0.1534528693745451217, -0.08433521045800585378);
}

/// (atanh(s) - s) / s^3 of x = s^2, |s| <= 0.2006.
template <class V> LAZULITE_INLINE V atanh_rest(V x) {
  if constexpr (sizeof(typename V::scalar) == 4) {
    return poly(x, 0.3333333313, 0.2000015851, 0.1426613185, 0.1187847695);
  } else {
    return poly(x, 0.3333333333333333205, 0.2000000000000407096, 0.1428571428359288158,
                0.1111111153166896891, 0.0909086822620776577, 0.07694457304007968661,
                0.06604394759665560629, 0.06808036221239661845);
  }
}

/// (2 atanh(s) - 2 s) / s^3 of x = s^2, |s| <= 0.1716.
template <class V> LAZULITE_INLINE V atanh_tail(V x) {
  return poly(x, 0.6666666666666669807, 0.399999999998960705, 0.2857142862752879561,
              0.2222221088193292714, 0.1818290749767121783, 0.1533111258796016758,
              0.1462395660821187881);
}

/// The same less its first term, 2/3, over x.
template <class V> LAZULITE_INLINE V atanh_tail2(V x) {
  if constexpr (sizeof(typename V::scalar) == 4) {
    return poly(x, 0.4000001531, 0.2856213418, 0.2305285127);
  } else {
    return poly(x, 0.4000000000000002812, 0.2857142857133548447, 0.2222222227246896825,
                0.1818180802508037732, 0.1538559095957839084, 0.1328542167901720442,
                0.1292022132427291826);
  }
}

/// (atan(t) - t) / t^3 of x = t^2, |t| <= tan(pi / 8).
template <class V> LAZULITE_INLINE V atan_tail(V x) {
  if constexpr (sizeof(typename V::scalar) == 4) {
    return poly(x, -0.3333333176, 0.1999953923, -0.1426391227, 0.1074326338, -0.06450377352);
  } else {
    return poly(x, -0.3333333333333333322, 0.1999999999999980305, -0.142857142856594573,
                0.1111111110511936526, -0.09090908751706075765, 0.07692296323157784548,
                -0.0666642395437341218, 0.0587891829297572725, -0.05230375457576669168,
                0.04551233844829567687, -0.03456132296826230817, 0.01627552168389341873);
  }
}

/// (asin(s) - s) / s^3 of x = s^2, |s| <= 0.5.
template <class V> LAZULITE_INLINE V asin_tail(V x) {
  if constexpr (sizeof(typename V::scalar) == 4) {
    return poly(x, 0.1666666634, 0.07500094543, 0.04459940153, 0.03110066274, 0.01714923836,
                0.0336908472);
  } else {
    return poly(x, 0.1666666666666666659, 0.07500000000000117751, 0.0446428571425518929,
                0.03038194447553233999, 0.02237215744350722242, 0.01735281654032549499,
                0.01396378001220356964, 0.01156645961212166857, 0.009621842970100281018,
                0.009319560794767446296, 0.003044879909455677396, 0.01955451333612337895,
                -0.01924167174674304065, 0.02961201126495512036);
  }
}

/// erf(a) / a - 1 of x = a^2, |a| <= 1.
template <class V> LAZULITE_INLINE V erf_small(V x) {
  if constexpr (sizeof(typename V::scalar) == 4) {
    return poly(x, 0.1283791658, -0.3761262667, 0.1128359472, -0.02685421201, 0.005189087423,
                -0.0008016864287, 7.875875063e-5);
  } else {
    return poly(x, 0.1283791670955125738, -0.3761263890318374806, 0.1128379167095487867,
                -0.02686617064507679325, 0.005223977624818014467, -0.0008548326980833789905,
                0.0001205533111164271092, -0.00001492559526683118157, 1.646100048412136803e-6,
                -1.635031270105469501e-7, 1.465977527404743581e-8, -1.137284885679167367e-9,
                5.957176147748911404e-11);
  }
}

/// (1 + 2 a) exp(a^2) erfc(a) of x = (a - K) / (a + K), K = erfcx_centre.
template <class V> LAZULITE_INLINE V erfcx_scaled(V x) {
  if constexpr (sizeof(typename V::scalar) == 4) {
    return poly(x, 1.276978382, -0.09276381543, -0.1660304878, 0.1640508969, -0.05421838699,
                -0.00802990896, 0.008712456716, 0.001250898768, -0.001429252111,
                -0.0004018225058, 0.0001769460348, 8.341086949e-5);
  } else {
    return poly(x, 1.237512630837827584, -0.1402405985855470224, 0.003585415485462904631,
                0.08227673849015112848, -0.1088039301416580505, 0.09230432116021522274,
                -0.05869339859176165742, 0.02836227742075386056, -0.00974657953233611492,
                0.001755625845448494431, 0.0002937134832205403617, -0.0002901540974049675991,
                0.00005164990829645606244, 0.00002238455062848927701, -0.0000114464448827501465,
                -9.750133129744938711e-7, 1.755757241963080464e-6, -5.361966556540493325e-8,
                -2.63007608459347579e-7, 1.814805141829280703e-8, 4.077382269543894696e-8,
                2.040095876540556522e-10, -4.999295226477826079e-9, -9.749977861841956154e-10);
  }
}

/// erfinv(v) / v of x = w - 2.5, w = -log(1 - v^2) <= 5.
template <class V> LAZULITE_INLINE V erfinv_middle(V x) {
  return poly(x, 1.501409351, 0.2466402894, -0.004177320041, -0.001252748503, 0.000218257724,
              -4.959691794e-6, -3.423414274e-6, 4.654174105e-7, 1.598430613e-8, -8.739010703e-9,
              4.671932509e-10);
}

/// erfinv(v) / v of x = sqrt(w) - 3, 5 <= w <= 17 (double: 37, a first guess).
template <class V> LAZULITE_INLINE V erfinv_tail(V x) {
  if constexpr (sizeof(typename V::scalar) == 4) {
    return poly(x, 2.832976812, 1.001674879, 0.009444721508, -0.007635962584, 0.005691407946,
                -0.003603516974, 0.001474130782, -4.503477006e-5, -0.0003011099817,
                0.0001074866143);
  } else {
    return poly(x, 2.832974940010286306, 1.001675533303473011, 0.009487702173870968903,
                -0.007703660583062517034, 0.005577917584641403873, -0.003275646934478443848,
                0.001355722731906180321, -0.0003597335511511158629, 0.0000544235401724103867,
                -3.554590941893427877e-6);
  }
}

}  // namespace
}  // namespace lazulite::simd
