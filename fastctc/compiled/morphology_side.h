/* Included by morphology.h once for each SIDE: the template for all types. WORST(least, greatest) never wins on that side. */

#define WORKING(x) (x)
#define FILL ((T)plan->fill)
#define SUFFIX u8
#define T uint8_t
#define V uint8_t
#define IDENTITY WORST(0, UINT8_MAX)
#include "morphology_template.h"
#undef SUFFIX
#undef T
#undef V
#undef IDENTITY
#define SUFFIX u16
#define T uint16_t
#define V uint16_t
#define IDENTITY WORST(0, UINT16_MAX)
#include "morphology_template.h"
#undef SUFFIX
#undef T
#undef V
#undef IDENTITY
#define SUFFIX i16
#define T int16_t
#define V int16_t
#define IDENTITY WORST(INT16_MIN, INT16_MAX)
#include "morphology_template.h"
#undef SUFFIX
#undef T
#undef V
#undef IDENTITY
#undef WORKING
#undef FILL

#define SUFFIX f32
#define T int32_t
#define V int32_t
#define IDENTITY WORST(ORDERED_LEAST, ORDERED_GREATEST)
#define WORKING(x) ordered(x, IDENTITY)
#define FINISHED(v) reordered(v)
#define FILL bits_of(plan->fill)
#include "morphology_template.h"
#undef SUFFIX
#undef T
#undef V
#undef IDENTITY
#undef WORKING
#undef FINISHED
#undef FILL
