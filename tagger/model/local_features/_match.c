/* Which points of photos look alike, and which of those are moved alike: matching.py says what the
   numbers mean, tests/plain_features.py does the same by NumPy. Threads that compare photos do not
   wait for Python's lock here. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Where ``row`` [count] is largest, the first of equals; ``second`` is the largest of the rest. */
static int largest(const float *row, int count, float *second) {
    int best = 0;
    *second = -1;
    for (int n = 1; n < count; n++) {
        if (row[n] > row[best]) {
            *second = row[best] > *second ? row[best] : *second;
            best = n;
        } else if (row[n] > *second) {
            *second = row[n];
        }
    }
    return best;
}

static PyObject *matches(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer alike, starts, pairs, counts;
    int columns, fewest;
    float ratio;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*iy*fiw*w*", &alike, &columns, &starts, &ratio, &fewest, &pairs,
                          &counts))
        return NULL;
    const float *at = alike.buf;
    const int32_t *start = starts.buf;
    const int photos = (int)(counts.len / (Py_ssize_t)sizeof(int32_t));
    int ok = columns >= 2 && photos > 0 && starts.len == counts.len + (Py_ssize_t)sizeof *start &&
             start[0] == 0;
    for (int n = 0; ok && n < photos; n++) ok = start[n] <= start[n + 1];
    if (!ok || alike.len != (Py_ssize_t)sizeof *at * columns * start[photos] ||
        pairs.len != (Py_ssize_t)(2 * sizeof(int64_t)) * start[photos]) {
        PyErr_SetString(PyExc_ValueError, "arguments do not fit together");
    } else {
        Py_BEGIN_ALLOW_THREADS;
        int64_t(*pair)[2] = pairs.buf;
        for (int photo = 0; photo < photos; photo++) {
            int64_t(*first)[2] = pair;
            for (int n = start[photo]; n < start[photo + 1]; n++) {
                const float *row = at + (Py_ssize_t)n * columns;
                float second;
                int best = largest(row, columns, &second);
                if (1 - row[best] < ratio * (1 - second)) {
                    (*pair)[0] = n;
                    (*pair++)[1] = best;
                }
            }
            if (pair - first >= fewest) { /* those that are the best of their column, too */
                int64_t(*end)[2] = pair;
                pair = first;
                for (int64_t(*one)[2] = first; one < end; one++) {
                    const float *column = at + (*one)[1];
                    int64_t best = start[photo];
                    for (int64_t n = best + 1; n < start[photo + 1]; n++)
                        if (column[n * columns] > column[best * columns]) best = n;
                    if (best == (*one)[0]) memmove(pair++, one, sizeof *one);
                }
            }
            ((int32_t *)counts.buf)[photo] = (int32_t)(pair - first);
        }
        Py_END_ALLOW_THREADS;
        result = Py_NewRef(Py_None);
    }
    PyBuffer_Release(&alike);
    PyBuffer_Release(&starts);
    PyBuffer_Release(&pairs);
    PyBuffer_Release(&counts);
    return result;
}

typedef struct {
    float loose, scales, close, firm, corner;
    int tried, fewest;
} Limits;

typedef struct { double xx, xy, yy, x, y, n, to[3][2]; } Sums;

/* A point at x, y that is moved to there, in the sums of a least squares fit. */
static void add(Sums *s, double x, double y, const double *to, double weight) {
    s->xx += weight * x * x;
    s->xy += weight * x * y;
    s->yy += weight * y * y;
    s->x += weight * x;
    s->y += weight * y;
    s->n += weight;
    for (int i = 0; i < 2; i++) {
        s->to[0][i] += weight * x * to[i];
        s->to[1][i] += weight * y * to[i];
        s->to[2][i] += weight * to[i];
    }
}

/* The affine map that fits best, by Cramer's rule; the corners see to it that there is one. */
static void solve(const Sums *s, double map[3][2]) {
    double a = s->yy * s->n - s->y * s->y, b = s->x * s->y - s->xy * s->n;
    double c = s->xy * s->y - s->yy * s->x, d = s->xx * s->n - s->x * s->x;
    double e = s->xy * s->x - s->xx * s->y, f = s->xx * s->yy - s->xy * s->xy;
    double whole = s->xx * a + s->xy * b + s->x * c;
    for (int i = 0; i < 2; i++) {
        double x = s->to[0][i], y = s->to[1][i], n = s->to[2][i];
        map[0][i] = (a * x + b * y + c * n) / whole;
        map[1][i] = (b * x + d * y + e * n) / whole;
        map[2][i] = (c * x + e * y + f * n) / whole;
    }
}

/* See local.moved_alike. ``work`` [count * count + 2 * count]. */
static void keep(const float (*before)[3], const float (*after)[3], int count, const Limits *limits,
                 uint8_t *kept, uint8_t *work) {
    uint8_t *agree = work, *inside = work + (size_t)count * count, *done = inside + count;
    int most = 0;
    memset(done, 0, (size_t)count);
    for (int one = 0; one < count; one++) {
        float scale = after[one][2] / before[one][2], slack = scale > 1 ? scale : 1;
        for (int n = 0; n < count; n++) {
            float x = after[n][0] - after[one][0] - scale * (before[n][0] - before[one][0]);
            float y = after[n][1] - after[one][1] - scale * (before[n][1] - before[one][1]);
            float more = after[n][2] / before[n][2] / scale;
            /* which two are of the same scale: 2, and that they are near as well: 3 */
            int same = more < limits->scales && 1 / more < limits->scales;
            agree[one * count + n] = (uint8_t)(
                same ? 2 + (x * x + y * y < limits->loose * limits->loose * slack * slack) : 0);
        }
    }
    for (int tried = 0; tried < limits->tried && most < count; tried++) {
        int one = -1, votes = 0, held = 0;
        for (int i = 0; i < count; i++) {
            int sum = 0;
            for (int n = 0; n < count; n++) sum += agree[i * count + n] == 3;
            if (!done[i] && sum > votes) one = i, votes = sum;
        }
        if (votes < limits->fewest) return;
        done[one] = 1;
        float scale = after[one][2] / before[one][2], slack = scale > 1 ? scale : 1;
        for (int n = 0; n < count; n++) inside[n] = agree[one * count + n] == 3;
        for (int step = 0; step < 2; step++) {
            Sums sums = {0};
            double map[3][2];
            for (int i = 0; i < 4; i++) {
                double x = limits->corner * (i == 0 || i == 3 ? -1 : 1);
                double y = limits->corner * (i < 2 ? -1 : 1);
                double to[2] = {after[one][0] + scale * x, after[one][1] + scale * y};
                add(&sums, x, y, to, limits->firm * limits->firm);
            }
            for (int n = 0; n < count; n++)
                if (inside[n])
                    add(&sums, before[n][0] - before[one][0], before[n][1] - before[one][1],
                        (double[]){after[n][0], after[n][1]}, 1);
            solve(&sums, map);
            held = 0;
            for (int n = 0; n < count; n++) {
                double x = before[n][0] - before[one][0], y = before[n][1] - before[one][1];
                double right = x * map[0][0] + y * map[1][0] + map[2][0] - after[n][0];
                double below = x * map[0][1] + y * map[1][1] + map[2][1] - after[n][1];
                double far = limits->close * slack;
                inside[n] = agree[one * count + n] && right * right + below * below < far * far;
                held += inside[n];
            }
        }
        if (held > most) {
            most = held;
            memcpy(kept, inside, (size_t)count);
        }
    }
}

static PyObject *moved_alike(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer before, after, kept;
    Limits limits;
    uint8_t *work = NULL;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*y*w*fffffii", &before, &after, &kept, &limits.loose,
                          &limits.scales, &limits.close, &limits.firm, &limits.corner,
                          &limits.tried, &limits.fewest))
        return NULL;
    size_t count = (size_t)kept.len;
    if (count > 1 << 14 || before.len != after.len ||
        before.len != (Py_ssize_t)(3 * sizeof(float) * count)) {
        PyErr_SetString(PyExc_ValueError, "arguments do not fit together");
    } else if (!(work = malloc(count * count + 2 * count + 1))) {
        PyErr_NoMemory();
    } else {
        /* With Python's lock: this takes less time than to get it back. */
        memset(kept.buf, 0, count);
        keep(before.buf, after.buf, (int)count, &limits, kept.buf, work);
        result = Py_NewRef(Py_None);
    }
    free(work);
    PyBuffer_Release(&before);
    PyBuffer_Release(&after);
    PyBuffer_Release(&kept);
    return result;
}

static PyMethodDef METHODS[] = {
    {"matches", matches, METH_VARARGS,
     "matches(alike, columns, starts, ratio, fewest, pairs, counts): fills the last two"},
    {"moved_alike", moved_alike, METH_VARARGS,
     "moved_alike(before, after, kept, loose, scales, close, firm, corner, tried, fewest)"},
    {NULL, NULL, 0, NULL}};

static struct PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, "_match", NULL, -1, METHODS,
                                    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__match(void) { return PyModule_Create(&MODULE); }
