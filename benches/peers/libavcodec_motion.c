/*
 * The peer: motion vectors by way of libavcodec, which decodes every pixel on the way to them.
 *
 * Every packet of the first H.264 stream is read into memory first; only decoding is timed, on one thread, in CPU time of
 * that thread, and the exported vectors of every picture are read once, as a user of them would. Opening the decoder is
 * not timed.
 *
 *   libavcodec_motion [--rounds N] [--no-export] [--skip-loop-filter] FILE...
 *       a line a file: name, pictures, median CPU seconds of N rounds (tab-separated)
 *   libavcodec_motion --describe FILE...
 *       decodes nothing; a line a file: name, packets, bytes of the video, width, height, profile, entropy coding,
 *       pictures of reordering delay (0: no B pictures out of order)
 *
 *   --no-export          decode without AV_CODEC_FLAG2_EXPORT_MVS: what the pixels alone cost
 *   --skip-loop-filter   leave deblocking out: vectors stay exact, pixels do not; the fastest way to vectors that
 *                        libavcodec has to offer
 *   --vectors            also print, to standard error, how many vectors were exported and their sums
 */
#include <errno.h>
#include <inttypes.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/motion_vector.h>
#include <libavutil/opt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct options {
    int rounds;
    bool export_vectors;
    bool skip_loop_filter;
    bool describe;
    bool vectors;
};

struct stream {
    const char *path;
    AVCodecParameters *parameters;
    AVRational time_base;
    AVPacket **packets;
    size_t packet_count;
    size_t bytes;
};

struct result {
    int64_t pictures;
    int64_t vectors;
    int64_t sum_x, sum_y;
    double cpu_seconds;
};

static void fail(const char *path, const char *what, int error)
{
    if (error < 0)
        fprintf(stderr, "libavcodec_motion: %s: %s: %s\n", path, what, av_err2str(error));
    else
        fprintf(stderr, "libavcodec_motion: %s: %s\n", path, what);
    exit(1);
}

static double thread_cpu_seconds(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0) {
        perror("libavcodec_motion: clock_gettime");
        exit(1);
    }
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Reads the first H.264 stream of a file whole, edit lists ignored: every coded picture counts. */
static struct stream read_stream(const char *path)
{
    struct stream stream = {.path = path};
    AVFormatContext *input = NULL;
    AVDictionary *demuxer_options = NULL;
    size_t capacity = 0;
    int error, index = -1;

    av_dict_set(&demuxer_options, "ignore_editlist", "1", 0);
    error = avformat_open_input(&input, path, NULL, &demuxer_options);
    av_dict_free(&demuxer_options);
    if (error < 0)
        fail(path, "cannot open", error);
    error = avformat_find_stream_info(input, NULL);
    if (error < 0)
        fail(path, "cannot find its streams", error);
    for (unsigned i = 0; i < input->nb_streams && index < 0; i++)
        if (input->streams[i]->codecpar->codec_id == AV_CODEC_ID_H264)
            index = (int)i;
    if (index < 0)
        fail(path, "no H.264 stream in it", 0);

    stream.parameters = avcodec_parameters_alloc();
    if (!stream.parameters)
        fail(path, "out of memory", 0);
    error = avcodec_parameters_copy(stream.parameters, input->streams[index]->codecpar);
    if (error < 0)
        fail(path, "cannot copy the codec parameters", error);
    stream.time_base = input->streams[index]->time_base;

    for (;;) {
        AVPacket *packet = av_packet_alloc();
        if (!packet)
            fail(path, "out of memory", 0);
        error = av_read_frame(input, packet);
        if (error < 0) {
            av_packet_free(&packet);
            if (error != AVERROR_EOF)
                fail(path, "cannot read on", error);
            break;
        }
        if (packet->stream_index != index) {
            av_packet_free(&packet);
            continue;
        }
        if (stream.packet_count == capacity) {
            capacity = capacity ? 2 * capacity : 1024;
            stream.packets = realloc(stream.packets, capacity * sizeof *stream.packets);
            if (!stream.packets)
                fail(path, "out of memory", 0);
        }
        stream.bytes += (size_t)packet->size;
        stream.packets[stream.packet_count++] = packet;
    }
    avformat_close_input(&input);
    return stream;
}

static void free_stream(struct stream *stream)
{
    for (size_t i = 0; i < stream->packet_count; i++)
        av_packet_free(&stream->packets[i]);
    free(stream->packets);
    avcodec_parameters_free(&stream->parameters);
}

/* Takes every picture that is ready; the vectors are read, so that exporting them is not for nothing. */
static void take_pictures(AVCodecContext *decoder, AVFrame *frame, struct result *result, const char *path)
{
    for (;;) {
        int error = avcodec_receive_frame(decoder, frame);
        if (error == AVERROR(EAGAIN) || error == AVERROR_EOF)
            return;
        if (error < 0)
            fail(path, "cannot decode", error);
        result->pictures++;
        const AVFrameSideData *side_data = av_frame_get_side_data(frame, AV_FRAME_DATA_MOTION_VECTORS);
        if (side_data) {
            const AVMotionVector *vectors = (const AVMotionVector *)side_data->data;
            size_t count = side_data->size / sizeof *vectors;
            for (size_t i = 0; i < count; i++) {
                result->sum_x += vectors[i].motion_x;
                result->sum_y += vectors[i].motion_y;
            }
            result->vectors += (int64_t)count;
        }
        av_frame_unref(frame);
    }
}

static struct result decode(const struct stream *stream, const struct options *options)
{
    struct result result = {0};
    /* By name: avcodec_find_decoder could pick a hardware wrapper. */
    const AVCodec *codec = avcodec_find_decoder_by_name("h264");
    AVCodecContext *decoder = codec ? avcodec_alloc_context3(codec) : NULL;
    AVFrame *frame = av_frame_alloc();
    int error;

    if (!decoder || !frame)
        fail(stream->path, "no h264 decoder in this libavcodec, or out of memory", 0);
    error = avcodec_parameters_to_context(decoder, stream->parameters);
    if (error < 0)
        fail(stream->path, "cannot set the codec parameters", error);
    decoder->pkt_timebase = stream->time_base;
    decoder->thread_count = 1;
    if (options->export_vectors)
        decoder->flags2 |= AV_CODEC_FLAG2_EXPORT_MVS;
    if (options->skip_loop_filter)
        decoder->skip_loop_filter = AVDISCARD_ALL;
    error = avcodec_open2(decoder, codec, NULL);
    if (error < 0)
        fail(stream->path, "cannot open the decoder", error);

    double start = thread_cpu_seconds();
    for (size_t i = 0; i < stream->packet_count; i++) {
        error = avcodec_send_packet(decoder, stream->packets[i]);
        if (error < 0)
            fail(stream->path, "cannot decode a packet", error);
        take_pictures(decoder, frame, &result, stream->path);
    }
    error = avcodec_send_packet(decoder, NULL);
    if (error < 0)
        fail(stream->path, "cannot drain the decoder", error);
    take_pictures(decoder, frame, &result, stream->path);
    result.cpu_seconds = thread_cpu_seconds() - start;

    av_frame_free(&frame);
    avcodec_free_context(&decoder);
    return result;
}

/* Exp-Golomb (9.1) from bit `*position` of an RBSP; the headers read here are far shorter than emulation prevention needs. */
static unsigned read_ue(const uint8_t *data, size_t size, size_t *position)
{
    unsigned zeros = 0, value = 1;
    while (*position < 8 * size && !(data[*position / 8] >> (7 - *position % 8) & 1)) {
        (*position)++;
        zeros++;
    }
    (*position)++;
    for (; zeros > 0 && *position < 8 * size; zeros--, (*position)++)
        value = value << 1 | (data[*position / 8] >> (7 - *position % 8) & 1);
    return value - 1;
}

/* Where the first picture parameter set's payload starts in the extradata (avcC: ISO/IEC 14496-15, or Annex B); 0: nowhere. */
static size_t find_pps(const uint8_t *data, size_t size)
{
    if (size > 7 && data[0] == 1) {
        size_t at = 6;
        for (int sps = data[5] & 31; sps > 0 && at + 2 <= size; sps--)
            at += 2 + ((size_t)data[at] << 8 | data[at + 1]);
        return at + 4 < size && data[at] > 0 ? at + 4 : 0; /* past their number, the length, the NAL unit header */
    }
    for (size_t at = 3; at + 1 < size; at++)
        if (data[at - 3] == 0 && data[at - 2] == 0 && data[at - 1] == 1 && (data[at] & 31) == 8)
            return at + 1;
    return 0;
}

/* entropy_coding_mode_flag of the first picture parameter set (7.3.2.2). */
static const char *entropy_coding(const AVCodecParameters *parameters)
{
    const uint8_t *data = parameters->extradata;
    size_t size = (size_t)parameters->extradata_size;
    size_t start = data ? find_pps(data, size) : 0;
    size_t position = 0;

    if (start == 0)
        return "unknown";
    data += start;
    size -= start;
    read_ue(data, size, &position); /* pic_parameter_set_id */
    read_ue(data, size, &position); /* seq_parameter_set_id */
    if (position >= 8 * size)
        return "unknown";
    return data[position / 8] >> (7 - position % 8) & 1 ? "CABAC" : "CAVLC";
}

static void describe(const struct stream *stream)
{
    const AVCodecParameters *parameters = stream->parameters;
    const char *profile = avcodec_profile_name(AV_CODEC_ID_H264, parameters->profile);
    printf("%s\t%zu\t%zu\t%d\t%d\t%s\t%s\t%d\n", base_name(stream->path), stream->packet_count, stream->bytes,
           parameters->width, parameters->height, profile ? profile : "unknown", entropy_coding(parameters),
           parameters->video_delay);
}

static int compare_doubles(const void *left, const void *right)
{
    double l = *(const double *)left, r = *(const double *)right;
    return (l > r) - (l < r);
}

static void measure(const struct stream *stream, const struct options *options)
{
    double *seconds = malloc((size_t)options->rounds * sizeof *seconds);
    struct result result = {0};

    if (!seconds)
        fail(stream->path, "out of memory", 0);
    for (int round = 0; round < options->rounds; round++) {
        result = decode(stream, options);
        seconds[round] = result.cpu_seconds;
    }
    qsort(seconds, (size_t)options->rounds, sizeof *seconds, compare_doubles);
    int middle = options->rounds / 2;
    double median = options->rounds % 2 ? seconds[middle] : (seconds[middle - 1] + seconds[middle]) / 2;
    free(seconds);
    printf("%s\t%" PRId64 "\t%.6f\n", base_name(stream->path), result.pictures, median);
    if (options->vectors)
        fprintf(stderr, "%s: %" PRId64 " vectors, sums %" PRId64 " %" PRId64 "\n", base_name(stream->path),
                result.vectors, result.sum_x, result.sum_y);
}

static int usage(void)
{
    fprintf(stderr, "usage: libavcodec_motion [--rounds N] [--no-export] [--skip-loop-filter] [--vectors] FILE...\n"
                    "       libavcodec_motion --describe FILE...\n"
                    "       libavcodec_motion --version\n");
    return 2;
}

int main(int argc, char **argv)
{
    struct options options = {.rounds = 1, .export_vectors = true};
    int next = 1;

    for (; next < argc && strncmp(argv[next], "--", 2) == 0; next++) {
        if (strcmp(argv[next], "--rounds") == 0 && next + 1 < argc) {
            char *end;
            errno = 0;
            long rounds = strtol(argv[++next], &end, 10);
            if (errno != 0 || *end != '\0' || rounds < 1 || rounds > 100000)
                return usage();
            options.rounds = (int)rounds;
        } else if (strcmp(argv[next], "--no-export") == 0) {
            options.export_vectors = false;
        } else if (strcmp(argv[next], "--skip-loop-filter") == 0) {
            options.skip_loop_filter = true;
        } else if (strcmp(argv[next], "--vectors") == 0) {
            options.vectors = true;
        } else if (strcmp(argv[next], "--describe") == 0) {
            options.describe = true;
        } else if (strcmp(argv[next], "--version") == 0) {
            printf("%s\n", av_version_info());
            return 0;
        } else {
            return usage();
        }
    }
    if (next == argc)
        return usage();

    av_log_set_level(AV_LOG_FATAL);
    for (; next < argc; next++) {
        struct stream stream = read_stream(argv[next]);
        if (options.describe)
            describe(&stream);
        else
            measure(&stream, &options);
        free_stream(&stream);
    }
    return 0;
}
