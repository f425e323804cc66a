// How large a lane's sum may become before its reference follows the maximum: sums stay far inside f32.
#define HEADROOM 0x1p40f
