/* SPDX-License-Identifier: Apache-2.0 */

/*
 * WebP by libwebp: a picture, or the first frame of an animation on its canvas, which is
 * transparent beside it whatever the file says of a background.
 */
#include "image/file.h"

#include <string.h>
#include <webp/decode.h>
#include <webp/demux.h>

#include "base/util.h"
#include "image/exif.h"

static bool webp_is(const uint8_t *p, size_t n)
{
	return n >= 16 && !memcmp(p, "RIFF", 4) && !memcmp(p + 8, "WEBPVP8", 7) &&
	       (p[15] == ' ' || p[15] == 'X' || p[15] == 'L');
}

static unsigned chunk_orientation(const WebPDemuxer *demuxer, const char *name,
				  unsigned (*read)(const uint8_t *p, size_t n))
{
	WebPChunkIterator chunk;
	unsigned orientation = EXIF_SILENT;

	if (WebPDemuxGetChunk(demuxer, name, 1, &chunk))
		orientation = read(chunk.chunk.bytes, chunk.chunk.size);
	WebPDemuxReleaseChunkIterator(&chunk);
	return orientation;
}

static void read_orientation(struct image_file *f, const WebPDemuxer *demuxer)
{
	unsigned orientation = chunk_orientation(demuxer, "EXIF", exif_orientation);

	if (orientation == EXIF_SILENT)
		orientation = chunk_orientation(demuxer, "XMP ", xmp_orientation);
	if (orientation != EXIF_SILENT)
		f->reader.info.orientation = (uint8_t)orientation;
}

static int webp_open(struct image_file *f, struct image_error *e)
{
	const WebPData data = { f->p, f->n };
	WebPBitstreamFeatures features;
	WebPDemuxer *demuxer = f->state = WebPDemux(&data);

	if (!demuxer)
		return image_fail(e, IMAGE_BAD, "the WebP is damaged, or ends too early");
	f->at_once = true;
	f->reader.info.width = WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_WIDTH);
	f->reader.info.height = WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_HEIGHT);
	f->reader.info.mode = IMAGE_RGBA;
	if (WebPGetFeatures(f->p, f->n, &features) == VP8_STATUS_OK && !features.has_alpha)
		f->reader.info.mode = IMAGE_RGB;
	read_orientation(f, demuxer);
	return 0;
}

static int decode(const struct image_file *f, const WebPIterator *frame, uint8_t *to, size_t stride,
		  struct image_error *e)
{
	WebPDecoderConfig config;
	VP8StatusCode status;

	if (!WebPInitDecoderConfig(&config))
		return image_fail(e, IMAGE_BAD, "the WebP library is of another version");
	config.output.colorspace = MODE_RGBA;
	config.output.is_external_memory = 1;
	config.output.u.RGBA.rgba = to + (size_t)frame->y_offset * stride +
				    (size_t)frame->x_offset * 4;
	config.output.u.RGBA.stride = (int)stride;
	config.output.u.RGBA.size = (size_t)(f->reader.info.height - (unsigned)frame->y_offset) *
					    stride -
				    (size_t)frame->x_offset * 4;
	status = WebPDecode(frame->fragment.bytes, frame->fragment.size, &config);
	WebPFreeDecBuffer(&config.output);
	if (status == VP8_STATUS_OUT_OF_MEMORY)
		return image_fail(e, IMAGE_NO_MEMORY, "there is no memory to decode the WebP");
	if (status != VP8_STATUS_OK)
		return image_fail(e, IMAGE_BAD, "the WebP cannot be decoded (%d)", (int)status);
	return 0;
}

static void fill_alpha(uint8_t *to, size_t stride, const struct image_info *info)
{
	for (uint32_t y = 0; y < info->height; y++)
		for (uint32_t x = 0; x < info->width; x++)
			to[y * stride + (size_t)x * 4 + 3] = 255;
}

static int webp_all(struct image_file *f, uint8_t *to, size_t stride, struct image_error *e)
{
	const struct image_info *info = &f->reader.info;
	WebPIterator frame;
	/* The library has them all a second time where they are lossless. */
	int code = image_file_afford(f, (uint64_t)info->width * info->height * 4, e);

	if (code)
		return code;
	if (stride > INT32_MAX)
		return image_fail(e, IMAGE_TOO_LARGE, "the WebP is too wide");
	if (!WebPDemuxGetFrame(f->state, 1, &frame))
		return image_fail(e, IMAGE_BAD, "the WebP has no picture in it");
	for (uint32_t y = 0; y < info->height; y++)
		memset(to + y * stride, 0, (size_t)info->width * 4);
	code = decode(f, &frame, to, stride, e);
	WebPDemuxReleaseIterator(&frame);
	if (!code && info->mode == IMAGE_RGB)
		fill_alpha(to, stride, info);
	return code;
}

static void webp_close(struct image_file *f)
{
	WebPDemuxDelete(f->state);
}

const struct image_codec image_codec_webp = {
	.format = IMAGE_WEBP,
	.name = "WebP",
	.is = webp_is,
	.open = webp_open,
	.all = webp_all,
	.close = webp_close,
};
