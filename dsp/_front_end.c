/*
 * The front end of the microcontroller (export/c) as a module of Python: frames from one buffer into another, without
 * the interpreter's lock. Written for CPython's stable ABI, so one build serves all versions from 3.11 on.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "hark_frontend.h"

/* The fastest that this processor can do. */
static struct {
    void (*log_mel)(hark_frontend_work *, const int16_t *, int32_t *);
    void (*cepstrum)(const int32_t *, int32_t *, int);
} chosen = {hark_log_mel, hark_cepstrum};

#if defined(__x86_64__) && defined(__GNUC__)
void hark_log_mel_avx2(hark_frontend_work *work, const int16_t *frame, int32_t *log_mel); /* _front_end_avx2.c */
void hark_cepstrum_avx2(const int32_t *log_mel, int32_t *mfcc, int count);

static void choose(void)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2")) {
        chosen.log_mel = hark_log_mel_avx2;
        chosen.cepstrum = hark_cepstrum_avx2;
    }
}
#else
static void choose(void)
{
}
#endif

static PyObject *refused(const char *what)
{
    PyErr_SetString(PyExc_ValueError, what);
    return NULL;
}

/* Both buffers of a call, or an error and false. */
static int taken(PyObject *from, PyObject *into, Py_buffer *in, Py_buffer *out)
{
    if (PyObject_GetBuffer(from, in, PyBUF_C_CONTIGUOUS) < 0) {
        return 0;
    }
    if (PyObject_GetBuffer(into, out, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE) < 0) {
        PyBuffer_Release(in);
        return 0;
    }
    return 1;
}

static PyObject *released(Py_buffer *in, Py_buffer *out, PyObject *result)
{
    PyBuffer_Release(in);
    PyBuffer_Release(out);
    return result;
}

static PyObject *log_mel(PyObject *module, PyObject *args)
{
    PyObject *from;
    PyObject *into;
    Py_ssize_t hop;
    Py_ssize_t count;
    Py_buffer in;
    Py_buffer out;

    (void)module;
    if (!PyArg_ParseTuple(args, "OnO:log_mel", &from, &hop, &into) || !taken(from, into, &in, &out)) {
        return NULL;
    }
    count = out.len / (Py_ssize_t)(HARK_BANDS * sizeof(int32_t));
    if ((in.itemsize != sizeof(int16_t)) || (out.itemsize != sizeof(int32_t)) || (hop < 1) || (hop > HARK_FRAME_SAMPLES)
        || ((count > 0) && ((in.len / 2 < HARK_FRAME_SAMPLES) || ((in.len / 2 - HARK_FRAME_SAMPLES) / hop < count - 1)))) {
        return released(&in, &out, refused("the sound is not int16, the frames are not int32, or there are too many"));
    }
    Py_BEGIN_ALLOW_THREADS
    hark_frontend_work work;
    const int16_t *sound = in.buf;
    int32_t *frames = out.buf;
    Py_ssize_t i;

    for (i = 0; i < count; i++) {
        chosen.log_mel(&work, sound + i * hop, frames + i * HARK_BANDS);
    }
    Py_END_ALLOW_THREADS
    return released(&in, &out, Py_NewRef(Py_None));
}

static PyObject *cepstrum(PyObject *module, PyObject *args)
{
    PyObject *from;
    PyObject *into;
    Py_ssize_t n_mfcc;
    Py_ssize_t count;
    Py_buffer in;
    Py_buffer out;

    (void)module;
    if (!PyArg_ParseTuple(args, "OnO:cepstrum", &from, &n_mfcc, &into) || !taken(from, into, &in, &out)) {
        return NULL;
    }
    count = in.len / (Py_ssize_t)(HARK_BANDS * sizeof(int32_t));
    if ((in.itemsize != sizeof(int32_t)) || (out.itemsize != sizeof(int32_t)) || (n_mfcc < 1) || (n_mfcc > HARK_BANDS)
        || (out.len / (Py_ssize_t)sizeof(int32_t) != count * n_mfcc)) {
        return released(&in, &out, refused("the frames are not int32, or the sizes do not fit"));
    }
    Py_BEGIN_ALLOW_THREADS
    const int32_t *frames = in.buf;
    int32_t *coefficients = out.buf;
    Py_ssize_t i;

    for (i = 0; i < count; i++) {
        chosen.cepstrum(frames + i * HARK_BANDS, coefficients + i * n_mfcc, (int)n_mfcc);
    }
    Py_END_ALLOW_THREADS
    return released(&in, &out, Py_NewRef(Py_None));
}

static int executed(PyObject *module)
{
    (void)module;
    choose();
    return 0;
}

static PyMethodDef methods[] = {
    {"log_mel", log_mel, METH_VARARGS, "log_mel(sound, hop, out)"},
    {"cepstrum", cepstrum, METH_VARARGS, "cepstrum(log_mel, n_mfcc, out)"},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)executed}, {0, NULL}};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_front_end",
    .m_doc = "The front end in C.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__front_end(void);

PyMODINIT_FUNC PyInit__front_end(void)
{
    return PyModuleDef_Init(&definition);
}
