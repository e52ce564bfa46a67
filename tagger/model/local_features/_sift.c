/* Upright SIFT (Lowe 2004) of a grey picture: the points that OpenCV finds, described as
   tagger/model/local_features/sift.py says. tests/plain_features.py does the same by OpenCV. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Compiled for processors with AVX2 besides, chosen when the module is loaded. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WIDE
#endif

/* Section 3 of the paper: an octave has pictures of LAYERS + 3 blurs, each 2 ** (1 / LAYERS) times that before. */
enum { LAYERS = 3, PICTURES = LAYERS + 3, OCTAVES = 16, LARGEST = 1 << 14 };
/* Steps that a point may be moved before it is given up; pixels at the edge that are not looked at;
   how much longer than wide a point may be. */
enum { STEPS = 5, BORDER = 5, LONGER = 10 };
enum { CELLS = 4, SAMPLES = 16, EDGE = SAMPLES + 2, DIRECTIONS = 8, RADIUS = 16, BLOCK = 32 };
enum { LENGTH = CELLS * CELLS * DIRECTIONS };
static const double SIGMA = 1.6, GIVEN = 1.0; /* the blur of a first picture, and of what comes */

typedef struct {
    int height, width;
    float *at; /* [PICTURES, height, width] */
} Octave;

typedef struct {
    float x, y, sigma; /* in the octave's pixels */
    float contrast;
    int octave, layer;
} Point;

/* Reflected at the edge pixels, as often as it takes; there are 2 or more. */
static inline int inside(int place, int count) {
    while (place < 0 || place >= count) place = place < 0 ? -place : 2 * count - 2 - place;
    return place;
}

/* The picture at twice its size, between pixels; ``line`` is of a row. */
WIDE static void doubled(const uint8_t *grey, int height, int width, float *restrict out,
                         float *restrict line) {
    for (int y = 0; y < 2 * height; y++, out += 2 * width) {
        const uint8_t *near = grey + (Py_ssize_t)(y / 2) * width, *far = near;
        if (y % 2 && y / 2 + 1 < height) far += width;
        if (y % 2 == 0 && y > 0) far -= width;
        for (int x = 0; x < width; x++) line[x] = 0.75f * near[x] + 0.25f * far[x];
        out[0] = line[0];
        for (int x = 0; x < width - 1; x++) {
            out[2 * x + 1] = 0.75f * line[x] + 0.25f * line[x + 1];
            out[2 * x + 2] = 0.25f * line[x] + 0.75f * line[x + 1];
        }
        out[2 * width - 1] = line[width - 1];
    }
}

/* ``out`` [count]: the sum of the rows, each times the weight of its distance to the middle one. */
WIDE static void weighed(const float *const *rows, const float *weights, int radius, int count,
                         float *restrict out) {
    for (int start = 0; start < count; start += BLOCK) {
        float sum[BLOCK];
        /* The last block begins sooner: its first places are summed up twice. */
        int x = start + BLOCK <= count || count < BLOCK ? start : count - BLOCK;
        const float *middle = rows[radius] + x;
        for (int i = 0; i < BLOCK; i++) sum[i] = weights[0] * middle[i];
        for (int n = 1; n <= radius; n++) {
            const float *before = rows[radius - n] + x, *after = rows[radius + n] + x;
            for (int i = 0; i < BLOCK; i++) sum[i] += weights[n] * (before[i] + after[i]);
        }
        memcpy(out + x, sum, sizeof *out * (size_t)(count < BLOCK ? count : BLOCK));
    }
}

/* A row and its margins, reflected, each times the weight of its distance. */
static void across(const float *row, const float *weights, int radius, int width, float *line,
                   float *out) {
    const float *places[2 * RADIUS + 1];
    memcpy(line + radius, row, sizeof *row * (size_t)width);
    for (int n = 1; n <= radius; n++) {
        line[radius - n] = row[inside(-n, width)];
        line[radius + width - 1 + n] = row[inside(width - 1 + n, width)];
    }
    for (int n = 0; n <= 2 * radius; n++) places[n] = line + n;
    weighed(places, weights, radius, width, out);
}

/* A Gaussian blur; ``work`` is of 2 * RADIUS + 2 rows and 2 * RADIUS + BLOCK more. */
static void blurred(const float *in, float *out, int height, int width, double sigma, float *work) {
    float weights[RADIUS + 1], sum = 0;
    int radius = (int)lrint(8 * sigma + 1) / 2, ring = 2 * radius + 1, made = 0; /* four sigmas */
    const float *rows[2 * RADIUS + 1];
    for (int n = 0; n <= radius; n++) {
        weights[n] = (float)exp(-n * n / (2 * sigma * sigma));
        sum += n ? 2 * weights[n] : weights[n];
    }
    for (int n = 0; n <= radius; n++) weights[n] /= sum;
    for (int y = 0; y < height; y++) {
        for (; made < height && made <= y + radius; made++)
            across(in + (Py_ssize_t)made * width, weights, radius, width,
                   work + (Py_ssize_t)ring * width, work + (Py_ssize_t)(made % ring) * width);
        for (int n = -radius; n <= radius; n++)
            rows[radius + n] = work + (Py_ssize_t)(inside(y + n, height) % ring) * width;
        weighed(rows, weights, radius, width, out + (Py_ssize_t)y * width);
    }
}

static void build(Octave *octave, float *work) {
    Py_ssize_t size = (Py_ssize_t)octave->height * octave->width;
    double ratio = pow(2, 1.0 / LAYERS);
    for (int n = 1; n < PICTURES; n++)
        blurred(octave->at + (n - 1) * size, octave->at + n * size, octave->height, octave->width,
                SIGMA * pow(ratio, n - 1) * sqrt(ratio * ratio - 1), work);
}

/* Which places of a row are extrema, ``found`` [row]. ``at`` is the row in the first of the four
   pictures that three differences are between; ``high`` and ``low`` are of a row. */
WIDE static void compare(const float *at, Py_ssize_t row, Py_ssize_t size, float *restrict high,
                         float *restrict low, int32_t *restrict found) {
    for (Py_ssize_t x = 0; x < row; x++) high[x] = -INFINITY, low[x] = INFINITY;
    for (int layer = 0; layer < 3; layer++)
        for (int n = -1; n <= 1; n++) {
            const float *less = at + layer * size + n * row, *more = less + size;
            for (Py_ssize_t x = 0; x < row; x++) {
                float difference = more[x] - less[x];
                high[x] = difference > high[x] ? difference : high[x];
                low[x] = difference < low[x] ? difference : low[x];
            }
        }
    for (Py_ssize_t x = 1; x < row - 1; x++) {
        float here = at[2 * size + x] - at[size + x];
        float most = high[x - 1] > high[x + 1] ? high[x - 1] : high[x + 1];
        float least = low[x - 1] < low[x + 1] ? low[x - 1] : low[x + 1];
        most = most > high[x] ? most : high[x];
        least = least < low[x] ? least : low[x];
        found[x] = ((here > 0) & (here >= most)) | ((here < 0) & (here <= least));
    }
}

/* The place of an extremum between pixels, on a quadratic through the differences around. Returns 0
   where it has none, little contrast, or is an edge. */
static int refine(const Octave *o, int layer, int y, int x, float contrast, Point *found) {
    Py_ssize_t row = o->width, size = row * o->height;
#define D(s, j, i) (p[(s + 1) * size + (j) * row + i] - p[(s) * size + (j) * row + i])
    for (int step = 0; step < STEPS; step++) {
        const float *p = o->at + layer * size + y * row + x;
        float here = D(0, 0, 0);
        float dx = (D(0, 0, 1) - D(0, 0, -1)) / 2, dy = (D(0, 1, 0) - D(0, -1, 0)) / 2;
        float ds = (D(1, 0, 0) - D(-1, 0, 0)) / 2;
        float dxx = D(0, 0, 1) + D(0, 0, -1) - 2 * here, dyy = D(0, 1, 0) + D(0, -1, 0) - 2 * here;
        float dss = D(1, 0, 0) + D(-1, 0, 0) - 2 * here;
        float dxy = (D(0, 1, 1) - D(0, 1, -1) - D(0, -1, 1) + D(0, -1, -1)) / 4;
        float dxs = (D(1, 0, 1) - D(1, 0, -1) - D(-1, 0, 1) + D(-1, 0, -1)) / 4;
        float dys = (D(1, 1, 0) - D(1, -1, 0) - D(-1, 1, 0) + D(-1, -1, 0)) / 4;
        /* Cramer's rule */
        float a = dyy * dss - dys * dys, b = dys * dxs - dxy * dss, c = dxy * dys - dyy * dxs;
        float e = dxy * dxs - dxx * dys, det = dxx * a + dxy * b + dxs * c;
        float mx = -(dx * a + dy * b + ds * c) / det;
        float my = -(dx * b + dy * (dxx * dss - dxs * dxs) + ds * e) / det;
        float ms = -(dx * c + dy * e + ds * (dxx * dyy - dxy * dxy)) / det;
        if (fabsf(mx) < 0.5f && fabsf(my) < 0.5f && fabsf(ms) < 0.5f) {
            float value = here + (dx * mx + dy * my + ds * ms) / 2;
            float trace = dxx + dyy, flat = dxx * dyy - dxy * dxy;
            if (fabsf(value) < contrast || flat <= 0) return 0;
            if (trace * trace * LONGER >= (LONGER + 1) * (LONGER + 1) * flat) return 0;
            found->x = x + mx;
            found->y = y + my;
            found->sigma = (float)SIGMA * exp2f((layer + ms) / LAYERS);
            found->contrast = fabsf(value);
            found->layer = layer;
            return 1;
        }
        /* Beyond the picture, or not a number. */
        if (!(fabsf(mx) < row && fabsf(my) < o->height && fabsf(ms) < PICTURES)) return 0;
        x += (int)lrintf(mx);
        y += (int)lrintf(my);
        layer += (int)lrintf(ms);
        if (layer < 1 || layer > LAYERS || x < BORDER || x >= o->width - BORDER || y < BORDER ||
            y >= o->height - BORDER)
            return 0;
    }
#undef D
    return 0;
}

typedef struct {
    Point *at;
    size_t count, room;
} Points;

/* Adds the octave's points; ``work`` is of three rows. Returns 0 where there is no memory. */
static int extrema(const Octave *o, int number, float contrast, Points *points, float *work) {
    Py_ssize_t row = o->width, size = row * o->height;
    for (int y = BORDER; y < o->height - BORDER; y++)
        for (int layer = 1; layer <= LAYERS; layer++) {
            int32_t *found = (int32_t *)(work + 2 * row);
            compare(o->at + (layer - 1) * size + y * row, row, size, work, work + row, found);
            for (int x = BORDER; x < row - BORDER; x++) {
                if (!found[x]) continue;
                if (points->count == points->room) {
                    size_t room = points->room ? 2 * points->room : 1024;
                    Point *more = realloc(points->at, room * sizeof *more);
                    if (!more) return 0;
                    points->at = more;
                    points->room = room;
                }
                Point *next = &points->at[points->count];
                next->octave = number;
                points->count += (size_t)refine(o, layer, y, x, contrast, next);
            }
        }
    return 1;
}

/* Those with most contrast first; 0 for the same point. */
static int stronger(const void *one, const void *other) {
    const Point *a = one, *b = other;
    if (a->contrast != b->contrast) return a->contrast > b->contrast ? -1 : 1;
    if (a->y != b->y) return a->y < b->y ? -1 : 1;
    if (a->x != b->x) return a->x < b->x ? -1 : 1;
    return a->octave - b->octave;
}

/* EDGE x EDGE samples around a point, ``apart`` pixels apart, between pixels. */
static void window(const Octave *o, const Point *point, float apart, float *out) {
    Py_ssize_t row = o->width;
    const float *picture = o->at + point->layer * row * o->height;
    int left[EDGE], right[EDGE];
    float share[EDGE];
    for (int i = 0; i < EDGE; i++) {
        float x = point->x + apart * (i - (EDGE - 1) / 2.f), whole = floorf(x);
        left[i] = inside((int)whole, o->width);
        right[i] = inside((int)whole + 1, o->width);
        share[i] = x - whole;
    }
    for (int j = 0; j < EDGE; j++) {
        float y = point->y + apart * (j - (EDGE - 1) / 2.f), whole = floorf(y), part = y - whole;
        const float *up = picture + inside((int)whole, o->height) * row;
        const float *down = picture + inside((int)whole + 1, o->height) * row;
        for (int i = 0; i < EDGE; i++) {
            float above = up[left[i]] + share[i] * (up[right[i]] - up[left[i]]);
            float below = down[left[i]] + share[i] * (down[right[i]] - down[left[i]]);
            *out++ = above + part * (below - above);
        }
    }
}

/* Of SAMPLES places the strength of the slope, and its direction, 0 to DIRECTIONS. */
WIDE static void slopes(const float *at, float *restrict strength, float *restrict turned) {
    for (int i = 0; i < SAMPLES; i++) {
        float x = at[i + 1] - at[i - 1], y = at[i + EDGE] - at[i - EDGE];
        float ax = fabsf(x), ay = fabsf(y), less = ax < ay ? ax : ay, more = ax < ay ? ay : ax;
        float t = less / (more + 1e-20f), u = t * t;
        /* atan(t) * 4 / pi, to 1e-4 */
        float bent = 0.24664f + u * (-0.14472f + u * 0.04846f);
        bent = t * (1.27322f + u * (-0.42358f + u * bent));
        bent = ax < ay ? 2 - bent : bent;
        bent = x < 0 ? 4 - bent : bent;
        turned[i] = y < 0 ? 8 - bent : bent;
        strength[i] = sqrtf(x * x + y * y);
    }
}

/* ``near`` [CELLS, SAMPLES]: what a sample counts for the cell. */
static void describe(const float *samples, const float *near, float *out) {
    memset(out, 0, sizeof *out * LENGTH);
    for (int j = 0; j < SAMPLES; j++) {
        float strength[SAMPLES], turned[SAMPLES], row[CELLS * DIRECTIONS] = {0};
        slopes(samples + (j + 1) * EDGE + 1, strength, turned);
        for (int i = 0; i < SAMPLES; i++) {
            int first = (int)turned[i];
            float second = (turned[i] - first) * strength[i], rest = strength[i] - second;
            for (int cell = 0; cell < CELLS; cell++) {
                float counts = near[cell * SAMPLES + i];
                if (counts == 0) continue;
                row[cell * DIRECTIONS + (first & (DIRECTIONS - 1))] += counts * rest;
                row[cell * DIRECTIONS + ((first + 1) & (DIRECTIONS - 1))] += counts * second;
            }
        }
        for (int cell = 0; cell < CELLS; cell++) {
            float counts = near[cell * SAMPLES + j];
            if (counts == 0) continue;
            for (int n = 0; n < CELLS * DIRECTIONS; n++)
                out[cell * CELLS * DIRECTIONS + n] += counts * row[n];
        }
    }
}

static void rooted(float *values, float clipped) {
    float squares = 0, sum = 0;
    for (int n = 0; n < LENGTH; n++) squares += values[n] * values[n];
    squares = sqrtf(squares) + 1e-7f;
    for (int n = 0; n < LENGTH; n++) {
        values[n] = values[n] / squares < clipped ? values[n] / squares : clipped;
        sum += values[n];
    }
    for (int n = 0; n < LENGTH; n++) values[n] = sqrtf(values[n] / (sum + 1e-7f));
}

/* All points of a picture, the strongest first; its octaves are built in ``memory``. Returns 0
   where there is none. */
static int find(const uint8_t *grey, int height, int width, float contrast, Octave *octaves,
                int count, float *memory, float *work, Points *points) {
    for (int n = 0; n < count; n++) {
        Octave *o = &octaves[n];
        Py_ssize_t size = (Py_ssize_t)o->height * o->width;
        o->at = memory;
        memory += PICTURES * size;
        if (n == 0) {
            float *twice = o->at + size; /* until that picture is made */
            doubled(grey, height, width, twice, work);
            blurred(twice, o->at, o->height, o->width, sqrt(SIGMA * SIGMA - GIVEN * GIVEN), work);
        } else {
            const Octave *before = &octaves[n - 1];
            const float *from = before->at + LAYERS * (Py_ssize_t)before->height * before->width;
            float *to = o->at;
            for (int y = 0; y < before->height; y += 2, from += 2 * (Py_ssize_t)before->width)
                for (int x = 0; x < before->width; x += 2) *to++ = from[x];
        }
        build(o, work);
        if (!extrema(o, n, contrast, points, work)) return 0;
    }
    if (points->count) qsort(points->at, points->count, sizeof *points->at, stronger);
    /* Two neighbours may have been moved to the same place. */
    size_t kept = 0;
    for (size_t n = 0; n < points->count; n++)
        if (!n || stronger(&points->at[n], &points->at[kept - 1]))
            points->at[kept++] = points->at[n];
    points->count = kept;
    return 1;
}

static PyObject *sift(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer grey, near, places, descriptors;
    int height, width, count = 0, ok = 0;
    float contrast, apart, clipped, *memory = NULL;
    Octave octaves[OCTAVES];
    size_t size, pictures = 0, most;
    Points points = {0};
    if (!PyArg_ParseTuple(args, "y*iify*ffw*w*", &grey, &height, &width, &contrast, &near, &apart,
                          &clipped, &places, &descriptors))
        return NULL;
    most = (size_t)descriptors.len / (LENGTH * sizeof(float));
    if (height < 1 || width < 1 || height > LARGEST || width > LARGEST ||
        grey.len != (Py_ssize_t)height * width || near.len != CELLS * SAMPLES * sizeof(float) ||
        places.len != (Py_ssize_t)(most * 3 * sizeof(float)) ||
        descriptors.len != (Py_ssize_t)(most * LENGTH * sizeof(float))) {
        PyErr_SetString(PyExc_ValueError, "arguments out of range");
        goto done;
    }
    for (int h = 2 * height, w = 2 * width; h > 2 * BORDER && w > 2 * BORDER; count++) {
        octaves[count].height = h;
        octaves[count].width = w;
        pictures += (size_t)PICTURES * h * w;
        h = (h + 1) / 2;
        w = (w + 1) / 2;
    }
    size = (size_t)(2 * RADIUS + 2) * 2 * (size_t)width + 2 * RADIUS + BLOCK; /* for a blur */
    memory = malloc((pictures + size) * sizeof *memory);
    if (memory) {
        Py_BEGIN_ALLOW_THREADS;
        ok = find(grey.buf, height, width, contrast, octaves, count, memory, memory + pictures,
                  &points);
        if (points.count > most) points.count = most;
        for (size_t n = 0; ok && n < points.count; n++) {
            const Point *p = &points.at[n];
            float samples[EDGE * EDGE], scale = exp2f((float)p->octave - 1);
            float *place = (float *)places.buf + 3 * n, *to = (float *)descriptors.buf + LENGTH * n;
            place[0] = p->x * scale;
            place[1] = p->y * scale;
            place[2] = 2 * p->sigma * scale;
            window(&octaves[p->octave], p, p->sigma * apart, samples);
            describe(samples, near.buf, to);
            rooted(to, clipped);
        }
        Py_END_ALLOW_THREADS;
    }
    if (!ok) PyErr_NoMemory();
done:
    free(points.at);
    free(memory);
    PyBuffer_Release(&grey);
    PyBuffer_Release(&near);
    PyBuffer_Release(&places);
    PyBuffer_Release(&descriptors);
    return ok ? PyLong_FromSize_t(points.count) : NULL;
}

static PyMethodDef METHODS[] = {
    {"sift", sift, METH_VARARGS,
     "sift(grey, height, width, contrast, counts, apart, clipped, places, descriptors) -> count"},
    {NULL, NULL, 0, NULL}};

static struct PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, "_sift", NULL, -1, METHODS,
                                    NULL, NULL, NULL, NULL};

/* What sift.py has to know of the numbers above. */
PyMODINIT_FUNC PyInit__sift(void) {
    PyObject *module = PyModule_Create(&MODULE);
    if (!module) return NULL;
    PyObject *sigma = PyFloat_FromDouble(SIGMA), *given = PyFloat_FromDouble(GIVEN);
    int ok = !PyModule_AddIntConstant(module, "LAYERS", LAYERS) &&
             !PyModule_AddIntConstant(module, "CELLS", CELLS) &&
             !PyModule_AddIntConstant(module, "SAMPLES", SAMPLES) &&
             !PyModule_AddIntConstant(module, "DIRECTIONS", DIRECTIONS) &&
             !PyModule_AddIntConstant(module, "LENGTH", LENGTH) && sigma && given &&
             !PyModule_AddObjectRef(module, "SIGMA", sigma) &&
             !PyModule_AddObjectRef(module, "GIVEN", given);
    Py_XDECREF(sigma);
    Py_XDECREF(given);
    if (!ok) Py_CLEAR(module);
    return module;
}
