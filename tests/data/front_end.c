/* Read float samples from standard input; print the rows of each frame. Slow and plain. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "front_end.h"

#define BINS (FRONT_END_N_FFT / 2 + 1)
#define PI 3.14159265358979323846

static long mirror(long i, long n) { return i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i; }

int main(void)
{
    static float input[1 << 20];
    long n = (long)fread(input, sizeof(float), 1 << 20, stdin);
    long length = n < FRONT_END_LEAST_SAMPLES ? FRONT_END_LEAST_SAMPLES : n;
    double *x = malloc((size_t)length * sizeof(double)), peak = 0, highest = -INFINITY;
    for (long i = 0; i < length; i++) x[i] = input[i % n];
    for (long i = 0; i < length; i++) peak = x[i] > peak ? x[i] : peak;
    for (long i = 0; i < length; i++)
        x[i] *= FRONT_END_WAVEFORM_SCALE / (FRONT_END_NORMALIZE_PEAK && peak > 0 ? peak : 1);
    if (FRONT_END_PRE_EMPHASIS != 0) {
        length--;
        for (long i = 0; i < length; i++) x[i] = x[i + 1] - FRONT_END_PRE_EMPHASIS * x[i];
    }
    int centered = FRONT_END_PADDING != 0;
    long half = FRONT_END_N_FFT / 2, needed = centered ? 0 : FRONT_END_WIN_LENGTH;
    long frames = (length + (centered ? 2 * half - FRONT_END_N_FFT : 0) - needed)
                      / FRONT_END_HOP_LENGTH + 1 - FRONT_END_DROP_LAST_FRAME;
    long before = centered ? (FRONT_END_N_FFT - FRONT_END_WIN_LENGTH) / 2 - half : 0;
    double *bands = malloc((size_t)frames * FRONT_END_N_BANDS * sizeof(double));
    for (long f = 0; f < frames; f++) {
        double frame[FRONT_END_WIN_LENGTH], mean = 0, previous, spectrum[BINS];
        for (long i = 0; i < FRONT_END_WIN_LENGTH; i++) {
            long at = f * FRONT_END_HOP_LENGTH + before + i;
            int inside = at >= 0 && at < length;
            frame[i] = inside ? x[at] : FRONT_END_PADDING == 2 ? x[mirror(at, length)] : 0;
            mean += frame[i] / FRONT_END_WIN_LENGTH;
        }
        if (!FRONT_END_REMOVE_DC) mean = 0;
        previous = frame[0] - mean;
        for (long i = 0; i < FRONT_END_WIN_LENGTH; i++) {
            double sample = frame[i] - mean;
            frame[i] = (sample - FRONT_END_FRAME_PRE_EMPHASIS * previous) * front_end_window[i];
            previous = sample;
        }
        for (long k = 0; k < BINS; k++) {
            double re = 0, im = 0;
            for (long i = 0; i < FRONT_END_WIN_LENGTH; i++) {
                double angle = 2 * PI * (double)(k * i % FRONT_END_N_FFT) / FRONT_END_N_FFT;
                re += frame[i] * cos(angle);
                im += frame[i] * sin(angle);
            }
            spectrum[k] = pow(sqrt(re * re + im * im), FRONT_END_MAGNITUDE_POWER);
        }
        const float *weight = front_end_band_weights;
        for (long b = 0; b < FRONT_END_N_BANDS; b++) {
            double sum = 0;
            for (long i = 0; i < front_end_band_size[b]; i++)
                sum += *weight++ * spectrum[front_end_band_first[b] + i];
            if (FRONT_END_CLAMP_POWER) sum = sum > FRONT_END_POWER_FLOOR ? sum : FRONT_END_POWER_FLOOR;
            else sum += FRONT_END_POWER_FLOOR;
            double value = FRONT_END_LOG_SCALE * log(sum);
            highest = value > highest ? value : highest;
            bands[f * FRONT_END_N_BANDS + b] = value;
        }
    }
    for (long f = 0; f < frames; f++) {
        double *row = bands + f * FRONT_END_N_BANDS;
        for (long b = 0; b < FRONT_END_N_BANDS; b++)
            if (FRONT_END_TOP_RANGE != 0 && row[b] < highest - FRONT_END_TOP_RANGE)
                row[b] = highest - FRONT_END_TOP_RANGE;
        for (long r = 0; r < FRONT_END_N_ROWS; r++) {
            double value = row[r];
#if FRONT_END_HAS_DCT
            value = 0;
            for (long b = 0; b < FRONT_END_N_BANDS; b++)
                value += front_end_dct[r * FRONT_END_N_BANDS + b] * row[b];
#endif
            printf("%.9g\n", (value - FRONT_END_MEAN) / FRONT_END_STD);
        }
    }
    return 0;
}
