/* Peer of examples/motion_bench.rs: decodes each file with libavcodec on one thread, motion vectors exported, packets
 * in memory, and prints name, pictures and median CPU seconds of the rounds, tab-separated. */
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/motion_vector.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static long drain(AVCodecContext *codec, AVFrame *frame, long *vectors) {
    long pictures = 0;
    while (avcodec_receive_frame(codec, frame) == 0) {
        AVFrameSideData *data = av_frame_get_side_data(frame, AV_FRAME_DATA_MOTION_VECTORS);
        if (data)
            *vectors += data->size / sizeof(AVMotionVector);
        pictures++;
        av_frame_unref(frame);
    }
    return pictures;
}

int main(int argc, char **argv) {
    int rounds = 3, first = 1;
    if (argc > 2 && !strcmp(argv[1], "--rounds")) {
        rounds = atoi(argv[2]);
        first = 3;
    }
    av_log_set_level(AV_LOG_QUIET);
    for (int i = first; i < argc; i++) {
        AVFormatContext *format = NULL;
        if (avformat_open_input(&format, argv[i], NULL, NULL) < 0 || avformat_find_stream_info(format, NULL) < 0) {
            fprintf(stderr, "%s: cannot be opened\n", argv[i]);
            return 1;
        }
        int stream = av_find_best_stream(format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
        if (stream < 0)
            return 1;
        AVCodecParameters *parameters = format->streams[stream]->codecpar;
        AVPacket **packets = NULL;
        size_t count = 0;
        for (;;) {
            AVPacket *packet = av_packet_alloc();
            if (av_read_frame(format, packet) < 0)
                break;
            if (packet->stream_index != stream)
                continue;
            packets = realloc(packets, (count + 1) * sizeof *packets);
            packets[count++] = packet;
        }
        double *seconds = calloc(rounds, sizeof *seconds);
        long pictures = 0, vectors = 0;
        AVFrame *frame = av_frame_alloc();
        for (int round = 0; round < rounds; round++) {
            const AVCodec *decoder = avcodec_find_decoder(parameters->codec_id);
            AVCodecContext *codec = avcodec_alloc_context3(decoder);
            avcodec_parameters_to_context(codec, parameters);
            codec->thread_count = 1;
            codec->export_side_data = 0;
            codec->flags2 |= AV_CODEC_FLAG2_EXPORT_MVS;
            double begin = cpu_seconds();
            if (avcodec_open2(codec, decoder, NULL) < 0)
                return 1;
            pictures = 0;
            for (size_t p = 0; p < count; p++) {
                avcodec_send_packet(codec, packets[p]);
                pictures += drain(codec, frame, &vectors);
            }
            avcodec_send_packet(codec, NULL);
            pictures += drain(codec, frame, &vectors);
            seconds[round] = cpu_seconds() - begin;
            avcodec_free_context(&codec);
        }
        qsort(seconds, rounds, sizeof *seconds, ascending);
        const char *name = strrchr(argv[i], '/');
        printf("%s\t%ld\t%.6f\n", name ? name + 1 : argv[i], pictures, seconds[rounds / 2]);
        fflush(stdout);
        avformat_close_input(&format);
    }
    return 0;
}
