// Which of many rows of bits differ least from one, counted in words of 64 bits.
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define WITH_POPCNT __attribute__((target_clones("popcnt", "default")))
#else
#define WITH_POPCNT
#endif

// All rows, into distances (at most 64 * words + 1 of them), and how often each occurs: two counts,
// as neighbours often differ alike, and each would wait for the one before.
static inline __attribute__((always_inline)) void
measured(const uint8_t *rows, size_t count, const uint64_t *query, int words, uint16_t *distances,
         uint32_t *often) {
    uint32_t *counts[2] = {often, often + 64 * words + 1};
    for (size_t row = 0; row < count; row++) {
        int found = 0;
        for (int word = 0; word < words; word++) {
            uint64_t value;
            memcpy(&value, rows + 8 * (row * words + word), 8);
            found += __builtin_popcountll(value ^ query[word]);
        }
        distances[row] = (uint16_t)found;
        counts[row & 1][found]++;
    }
    for (int found = 0; found <= 64 * words; found++)
        often[found] += counts[1][found];
}

WITH_POPCNT static void measure(const uint8_t *rows, size_t count, const uint64_t *query, int words,
                                uint16_t *distances, uint32_t *often) {
    if (words == 2) // known to the compiler, this takes less
        measured(rows, count, query, 2, distances, often);
    else if (words == 4)
        measured(rows, count, query, 4, distances, often);
    else
        measured(rows, count, query, words, distances, often);
}

static PyObject *nearest(PyObject *self, PyObject *args) {
    Py_buffer rows, query, found;
    if (!PyArg_ParseTuple(args, "y*y*w*", &rows, &query, &found))
        return NULL;
    int words = (int)(query.len / 8);
    Py_ssize_t most = found.len / 4;
    PyObject *result = NULL;
    uint16_t *distances = NULL;
    uint32_t *often = NULL;
    if (words < 1 || words > 1000 || query.len % 8 || rows.len % query.len || found.len % 4 ||
        rows.len / query.len > INT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "rows and query must be of whole words, as long as each other");
        goto done;
    }
    size_t count = (size_t)(rows.len / query.len);
    uint64_t asked[1000];
    memcpy(asked, query.buf, (size_t)query.len);
    distances = malloc(2 * count + 2);
    often = calloc(2 * ((size_t)64 * words + 1), 4);
    if (!distances || !often) {
        PyErr_NoMemory();
        goto done;
    }
    Py_ssize_t held = 0;
    Py_BEGIN_ALLOW_THREADS
    measure(rows.buf, count, asked, words, distances, often);
    // The nearest distances that fit whole; of the next one, the first rows.
    int limit = 0;
    uint64_t below = 0;
    while (limit <= 64 * words && below + often[limit] <= (uint64_t)most)
        below += often[limit++];
    Py_ssize_t more = most - (Py_ssize_t)below;
    int32_t *out = found.buf;
    for (size_t row = 0; row < count; row++) {
        if (distances[row] < limit)
            out[held++] = (int32_t)row;
        else if (distances[row] == limit && more > 0) {
            out[held++] = (int32_t)row;
            more--;
        }
    }
    Py_END_ALLOW_THREADS
    result = PyLong_FromSsize_t(held);
done:
    free(distances);
    free(often);
    PyBuffer_Release(&rows);
    PyBuffer_Release(&query);
    PyBuffer_Release(&found);
    return result;
}

static PyMethodDef METHODS[] = {
    {"nearest", nearest, METH_VARARGS,
     "nearest(rows, query, found): fills found, int32, with the rows that differ least; how many"},
    {NULL, NULL, 0, NULL}};

static struct PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, "_bits", NULL, -1, METHODS,
                                    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__bits(void) { return PyModule_Create(&MODULE); }
