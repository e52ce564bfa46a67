/* A baseline JPEG at an eighth of its size: every block's mean, and of subsampled colours 2 x 2
   values a block. Gives the pixels that libjpeg gives, or None where it might not.

   Nearly all the time of a scaled decode goes into the Huffman codes of coefficients that nobody
   looks at. They are passed over several at once here: a table says of the next 13 bits how many
   coefficients, with their values, lie in them.

   Codes: ITU-T T.81 annexes C, F.2.2. The 2 x 2 inverse DCT and the colours are libjpeg's, whose
   rounding has to be met (its reduced inverse DCT of 13 bits, and JFIF's YCbCr in 16 bits). */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

/* No coefficient of a picture of 8 bits is beyond LARGEST, and up to there 32 bits hold all sums. */
enum { FAST = 10, GROUP = 13, TOGETHER = 4, LARGEST = 2048, ENDS = 64 };

typedef struct {
    uint16_t fast[1 << FAST];   /* length << 8 | symbol for codes up to FAST bits, else 0 */
    uint16_t group[1 << GROUP]; /* bits | (coefficients | ENDS) << 6: whole codes with their values;
                                   ENDS << 6 where there is none */
    uint32_t limit[17];         /* codes of this length, in 16 bits, are below */
    int32_t first[17];          /* what to add to such a code for its place among the symbols */
    uint8_t symbols[256];
} Table;

typedef struct {
    int h, v, size;   /* blocks a unit (MCU), across and down; values across and down a block */
    int across, down; /* how often each value is repeated, as a power of 2 */
    int stride;       /* of its plane */
    int dc;           /* the last block's */
    uint8_t quant[64];
    uint8_t *plane;
    Table *means, *rest;
} Component;

typedef struct {
    uint64_t bits; /* the next ones, from the top */
    int count;     /* how many of them are the file's; below 0: read past its end */
    const uint8_t *at, *end;
} Reader;

static const uint8_t NATURAL[64] = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
    41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
    30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

static const int16_t NOTHING[64] = {0};

/* Have 56 bits or more, unless a marker or the end comes first. */
static inline void fill(Reader *r) {
    if (r->count < 0) return;
    if (r->end - r->at >= 8) {
        uint64_t next = 0, holds;
        for (int i = 0; i < 8; i++) next = next << 8 | r->at[i];
        holds = ~next; /* a byte 0xFF is a byte 0 here */
        if (!((holds - 0x0101010101010101u) & ~holds & 0x8080808080808080u)) {
            int bytes = (63 - r->count) / 8;
            r->bits |= next >> r->count;
            /* What lies below the count are the bits that come next: no harm in them. */
            r->at += bytes;
            r->count += 8 * bytes;
            return;
        }
    }
    while (r->count < 56 && r->at < r->end) {
        if (r->at[0] == 0xFF) {
            if (r->end - r->at < 2 || r->at[1] != 0) return;
            r->at++; /* 0xFF 0x00 stands for 0xFF */
            r->bits |= (uint64_t)0xFF << (56 - r->count);
        } else {
            r->bits |= (uint64_t)r->at[0] << (56 - r->count);
        }
        r->at++;
        r->count += 8;
    }
}

static inline unsigned take(Reader *r, int count) {
    unsigned taken = (unsigned)(r->bits >> 1 >> (63 - count));
    r->bits <<= count;
    r->count -= count;
    return taken;
}

/* Length << 8 | symbol of the code that these 16 bits begin with; 0 where there is none. */
static inline unsigned lookup(const Table *table, unsigned next) {
    unsigned found = table->fast[next >> (16 - FAST)];
    for (int length = FAST + 1; !found && length <= 16; length++)
        if (next < table->limit[length])
            found = (unsigned)length << 8 |
                    table->symbols[(uint8_t)((int)(next >> (16 - length)) + table->first[length])];
    return found;
}

/* The next symbol, or -1. */
static inline int symbol(Reader *r, const Table *table) {
    unsigned found = lookup(table, (unsigned)(r->bits >> 48));
    take(r, (int)(found >> 8));
    return found ? (int)(found & 255) : -1;
}

/* T.81 F.2.2.1: the value whose size is known. */
static inline int value(Reader *r, int size) {
    int bits = (int)take(r, size);
    return bits - (((1 << size) - 1) & -(bits < 1 << size >> 1));
}

/* T.81 annex C: 16 counts, then the symbols. Returns 0 where they make no table. */
static int make_table(Table *table, const uint8_t *told, Py_ssize_t length, int groups) {
    uint32_t code = 0;
    int place = 0;
    memset(table, 0, sizeof *table);
    if (length < 16 || length > 16 + 256) return 0;
    memcpy(table->symbols, told + 16, (size_t)length - 16);
    for (int bits = 1; bits <= 16; bits++, code <<= 1) {
        table->first[bits] = place - (int)code;
        for (int i = 0; i < told[bits - 1]; i++, code++, place++) {
            if (place >= length - 16 || code + 1 >= 1u << bits) return 0; /* all ones is no code */
            if (bits <= FAST)
                for (uint32_t n = code << (FAST - bits); n < (code + 1) << (FAST - bits); n++)
                    table->fast[n] = (uint16_t)(bits << 8 | table->symbols[place]);
        }
        table->limit[bits] = told[bits - 1] ? code << (16 - bits) : 0;
    }
    for (unsigned next = 0; groups && next < 1 << GROUP; next++) {
        unsigned bits = 0, coefficients = 0, ends = 0;
        while (!ends) {
            unsigned found = lookup(table, next << (16 - GROUP) << bits & 0xFFFF);
            unsigned run = (found & 255) >> 4, size = found & 15, whole = (found >> 8) + size;
            if (!found || bits + whole > GROUP || coefficients + run + 1 > 63) break;
            bits += whole;
            if (size || run == 15) coefficients += run + 1;
            else ends = ENDS;
        }
        table->group[next] = (uint16_t)(bits ? bits | (coefficients | ends) << 6 : ENDS << 6);
    }
    return 1;
}

static inline uint8_t sample(int level) {
    return (uint8_t)(level < -128 ? 0 : level > 127 ? 255 : level + 128);
}

static inline int descale(int number, int bits) { return (number + (1 << (bits - 1))) >> bits; }

/* The coefficients of a block but the first, passed over. Returns 0 where the codes are damaged. */
static inline int pass_over(Reader *r, const Table *table) {
    int k = 1;
    while (k < 64) {
        unsigned group;
        int found;
        fill(r);
        if (r->count >= TOGETHER * GROUP) { /* none needs to be filled between */
            uint64_t bits = r->bits;
            int left = r->count, i;
            for (i = 0; i < TOGETHER; i++) {
                group = table->group[bits >> (64 - GROUP)];
                if (k + (int)(group >> 6) >= 64) break;
                k += (int)(group >> 6);
                bits <<= group & 63;
                left -= (int)(group & 63);
            }
            r->bits = bits;
            r->count = left;
            if (i == TOGETHER) continue;
        }
        group = table->group[r->bits >> (64 - GROUP)];
        if (group & 63 && k + (int)(group >> 6 & 63) + (group >> 6 >= ENDS) <= 64) {
            take(r, (int)(group & 63));
            if (group >> 6 >= ENDS) return 1;
            k += (int)(group >> 6 & 63);
            continue;
        }
        fill(r);
        found = symbol(r, table);
        if (found < 0) return 0;
        if (!(found & 15) && found != 0xF0) return 1;
        take(r, found & 15);
        k += (found >> 4) + 1;
    }
    return k == 64;
}

/* The same, dequantised into ``block``, in rows. Returns how many, or -1; where 0, it is not set. */
static inline int read_block(Reader *r, const Table *table, const uint8_t *quant, int16_t *block) {
    int k = 1, held = 0;
    while (k < 64) {
        int found, number;
        fill(r);
        found = symbol(r, table);
        if (found < 0) return -1;
        if (!(found & 15) && found != 0xF0) return held;
        k += found >> 4;
        if (k > 63) return -1;
        number = value(r, found & 15) * quant[k];
        if (number < -LARGEST || number > LARGEST) return -1;
        if (!held++) memcpy(block, NOTHING, sizeof NOTHING); /* faster than memset of gcc's */
        block[NATURAL[k++]] = (int16_t)number;
    }
    return held;
}

/* libjpeg's inverse DCT to 2 x 2 values: of columns and rows 0, 1, 3, 5 and 7. */
static void two_by_two(const int16_t *block, uint8_t *out, int stride) {
    int half[2][8];
    for (int column = 0; column < 8; column += column ? 2 : 1) {
        const int16_t *c = block + column;
        int even = c[0] * (1 << 15), odd = 29692 * c[8] - 10426 * c[24] + 6967 * c[40] - 5906 * c[56];
        half[0][column] = descale(even + odd, 13);
        half[1][column] = descale(even - odd, 13);
    }
    for (int row = 0; row < 2; row++) {
        const int *c = half[row];
        int even = c[0] * (1 << 15), odd = 29692 * c[1] - 10426 * c[3] + 6967 * c[5] - 5906 * c[7];
        out[row * stride] = sample(descale(even + odd, 20));
        out[row * stride + 1] = sample(descale(even - odd, 20));
    }
}

/* One block to its place in the plane. Returns 0 where the file is damaged. */
static inline int decode_block(Reader *r, Component *c, uint8_t *out) {
    int size, mean;
    fill(r);
    size = symbol(r, c->means);
    if (size < 0 || size > 11) return 0;
    c->dc += value(r, size);
    mean = c->dc * c->quant[0];
    if (mean < -LARGEST || mean > LARGEST) return 0;
    *out = sample(descale(mean, 3));
    if (c->size == 1) {
        if (!pass_over(r, c->rest)) return 0;
    } else {
        int16_t block[64];
        int held = read_block(r, c->rest, c->quant, block);
        if (held < 0) return 0;
        block[0] = (int16_t)mean;
        if (held) two_by_two(block, out, c->stride);
        else out[1] = out[c->stride] = out[c->stride + 1] = *out;
    }
    return r->count >= 0;
}

/* Pass the marker that must come now, but for the bits that pad the last byte. */
static int pass_marker(Reader *r, unsigned marker) {
    fill(r);
    if (r->count < 0 || r->count > 7 || r->end - r->at < 2) return 0;
    if (r->at[0] != 0xFF || r->at[1] != marker) return 0;
    r->at += 2;
    r->bits = 0;
    r->count = 0;
    return 1;
}

static int decode(Reader *r, Component *parts, int count, int across, int down, int interval) {
    int units = 0;
    for (int y = 0; y < down; y++)
        for (int x = 0; x < across; x++, units++) {
            if (interval && units && units % interval == 0) { /* T.81 F.2.1.3.1 */
                if (!pass_marker(r, 0xD0 | ((units / interval - 1) & 7))) return 0;
                for (int i = 0; i < count; i++) parts[i].dc = 0;
            }
            for (Component *c = parts; c < parts + count; c++)
                for (int v = 0; v < c->v; v++) {
                    uint8_t *row = c->plane + ((Py_ssize_t)y * c->v + v) * c->size * c->stride;
                    for (int h = 0; h < c->h; h++)
                        if (!decode_block(r, c, row + ((Py_ssize_t)x * c->h + h) * c->size))
                            return 0;
                }
        }
    return pass_marker(r, 0xD9); /* the end of the image */
}

/* JFIF's YCbCr to RGB, the colours' values repeated where there are fewer. */
static void colour(const Component *parts, int width, int height, uint8_t *out) {
    const Component *blue = &parts[1], *red = &parts[2];
    for (int y = 0; y < height; y++) {
        const uint8_t *levels = parts[0].plane + (Py_ssize_t)y * parts[0].stride;
        const uint8_t *blues = blue->plane + (Py_ssize_t)(y >> blue->down) * blue->stride;
        const uint8_t *reds = red->plane + (Py_ssize_t)(y >> red->down) * red->stride;
        for (int x = 0; x < width; x++, out += 3) {
            int level = levels[x] - 128, cb = blues[x >> blue->across] - 128;
            int cr = reds[x >> red->across] - 128;
            out[0] = sample(level + descale(91881 * cr, 16));
            out[1] = sample(level + ((-22554 * cb + 32768 - 46802 * cr) >> 16));
            out[2] = sample(level + descale(116130 * cb, 16));
        }
    }
}

/* 0, 1, 2 for a ratio of 1, 2, 4; -1 for others. */
static int halvings(int more, int fewer) {
    return more == fewer ? 0 : more == 2 * fewer ? 1 : more == 4 * fewer ? 2 : -1;
}

/* How many values a block gives, as libjpeg chooses it, and how often they are repeated. Returns 0
   for what is not done here. */
static int shape(Component *c, const Component *first) {
    int twice = first->h % (2 * c->h) == 0 && first->v % (2 * c->v) == 0;
    if (first->h % (4 * c->h) == 0 && first->v % (4 * c->v) == 0) return 0;
    c->size = twice ? 2 : 1;
    c->across = halvings(first->h, c->h * c->size);
    c->down = halvings(first->v, c->v * c->size);
    return c->across >= 0 && c->down >= 0;
}

static PyObject *eighth(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer data;
    Py_ssize_t start, count;
    int width, height, interval, ok = 0;
    PyObject *told, *result = NULL;
    Component parts[3] = {{0}};
    Table *tables = NULL;
    uint8_t *planes = NULL;
    if (!PyArg_ParseTuple(args, "y*niiiO!", &data, &start, &width, &height, &interval,
                          &PyTuple_Type, &told))
        return NULL;
    count = PyTuple_Size(told);
    if ((count != 1 && count != 3) || width < 1 || height < 1 || width > 65535 || height > 65535 ||
        interval < 0 || start < 0 || start > data.len) {
        PyErr_SetString(PyExc_ValueError, "arguments out of range");
        goto done;
    }
    tables = PyMem_Malloc(2 * (size_t)count * sizeof *tables);
    if (!tables) {
        PyErr_NoMemory();
        goto done;
    }
    ok = 1;
    for (int i = 0; i < count; i++) {
        Component *c = &parts[i];
        const char *quant, *means, *rest;
        Py_ssize_t quants, mean_length, rest_length;
        if (!PyArg_ParseTuple(PyTuple_GetItem(told, i), "iiy#y#y#", &c->h, &c->v, &quant, &quants,
                              &means, &mean_length, &rest, &rest_length))
            goto done;
        if (c->h < 1 || c->h > 4 || c->v < 1 || c->v > 4 || quants != 64) {
            PyErr_SetString(PyExc_ValueError, "component out of range");
            goto done;
        }
        memcpy(c->quant, quant, 64);
        c->means = &tables[2 * i];
        c->rest = &tables[2 * i + 1];
        ok = ok && shape(c, parts) && make_table(c->means, (const uint8_t *)means, mean_length, 0) &&
             make_table(c->rest, (const uint8_t *)rest, rest_length, c->size == 1);
    }
    if (ok) {
        int across = (width + 8 * parts[0].h - 1) / (8 * parts[0].h);
        int down = (height + 8 * parts[0].v - 1) / (8 * parts[0].v);
        int small_width = (width + 7) / 8, small_height = (height + 7) / 8;
        size_t sizes[3] = {0}, total = 0;
        for (int i = 0; i < count; i++) {
            parts[i].stride = across * parts[i].h * parts[i].size;
            sizes[i] = (size_t)parts[i].stride * down * parts[i].v * parts[i].size;
            total += sizes[i];
        }
        planes = PyMem_Malloc(total);
        result = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)count * small_width * small_height);
        if (!planes || !result) {
            Py_CLEAR(result);
            PyErr_NoMemory();
            goto done;
        }
        uint8_t *out = (uint8_t *)PyBytes_AsString(result);
        Py_BEGIN_ALLOW_THREADS;
        {
            const uint8_t *bytes = data.buf;
            Reader reader = {0, 0, bytes + start, bytes + data.len};
            for (int i = 0; i < count; i++)
                parts[i].plane = i ? parts[i - 1].plane + sizes[i - 1] : planes;
            ok = decode(&reader, parts, (int)count, across, down, interval);
            if (ok && count == 3) colour(parts, small_width, small_height, out);
            for (int y = 0; ok && count == 1 && y < small_height; y++)
                memcpy(out + (size_t)y * small_width, planes + (size_t)y * parts[0].stride,
                       (size_t)small_width);
        }
        Py_END_ALLOW_THREADS;
    }
    if (!ok) {
        Py_XDECREF(result);
        result = Py_NewRef(Py_None);
    }
done:
    PyMem_Free(planes);
    PyMem_Free(tables);
    PyBuffer_Release(&data);
    return result;
}

static PyMethodDef METHODS[] = {
    {"eighth", eighth, METH_VARARGS,
     "eighth(data, start, width, height, interval, components) -> bytes or None"},
    {NULL, NULL, 0, NULL}};

static struct PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, "_fast_jpeg", NULL, -1, METHODS,
                                    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__fast_jpeg(void) { return PyModule_Create(&MODULE); }
