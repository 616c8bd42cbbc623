/* fopencookie is GNU's. */
#define _GNU_SOURCE

#include <stdio.h>

#include <rte_malloc.h>
#include <rte_memzone.h>
#include <rte_prefetch.h>

#include "shim.h"

_Static_assert(RTE_ETH_RX_OFFLOAD_IPV4_CKSUM == 1ULL << 1, "as in shim.h");
_Static_assert(RTE_ETH_RX_OFFLOAD_TCP_CKSUM == 1ULL << 3, "as in shim.h");
_Static_assert(RTE_ETH_TX_OFFLOAD_TCP_CKSUM == 1ULL << 3, "as in shim.h");

const uint64_t rr_rss_flows = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP;

/* ---- log, errors, threads ---- */

static rr_log_write *log_write;

static ssize_t write_to_log(void *cookie, const char *text, size_t len)
{
	(void)cookie;
	log_write((uint32_t)rte_log_cur_msg_loglevel(), text, len);
	return (ssize_t)len;
}

bool rr_log_to(rr_log_write *write)
{
	log_write = write;
	FILE *stream = fopencookie(NULL, "w", (cookie_io_functions_t){.write = write_to_log});
	return stream != NULL && rte_openlog_stream(stream) == 0;
}

void rr_flush_standard_streams(void)
{
	fflush(stdout);
	fflush(stderr);
}

int rr_errno(void)
{
	return rte_errno;
}

bool rr_thread_is_registered(void)
{
	return rte_lcore_id() != LCORE_ID_ANY;
}

/* ---- the pool ----
 *
 * Objects lie at a uniform stride from `objects` on, so that an object's index follows from its
 * address and the other way round. Free ones are indices on a stack, which whoever else deals in
 * indices shares. One thread at a time uses a pool; only the count may be read by others.
 *
 * Several pools may lie over one memory, each with a stack of its own. All have the same indices. An
 * mbuf says itself which of them a driver puts it back into. */

struct rr_pool {
	/* Object (mbuf) with index 0. */
	char *objects;
	uint32_t stride;
	/* stride = odd << shift, odd * inverse = 1 (mod 2^32): exact division without dividing. */
	uint32_t shift;
	uint32_t inverse;
	uint32_t usable;
	/* Where all of it lies, the pools that are over it included. */
	const struct rte_memzone *zone;
	struct rr_free_stack free;
};

static const char POOL_OPS[] = "ringroad";

/* The inverse of an odd number, by Newton's iteration: it is right in 3 bits, then 6, 12, 24, 48. */
static uint32_t inverse_of(uint32_t odd)
{
	uint32_t inverse = odd;
	for (int i = 0; i < 4; i++)
		inverse *= 2 - odd * inverse;
	return inverse;
}

static inline uint32_t index_of(const struct rr_pool *pool, const void *object)
{
	uint64_t offset = (uint64_t)((const char *)object - pool->objects);
	return (uint32_t)(offset >> pool->shift) * pool->inverse;
}

static inline void *object_at(const struct rr_pool *pool, uint32_t index)
{
	return pool->objects + (uint64_t)index * pool->stride;
}

/* A plain store, which rr_get_count may read in another thread. */
static inline void set_len(struct rr_free_stack *stack, uint32_t len)
{
	__atomic_store_n(&stack->len, len, __ATOMIC_RELAXED);
}

static int rr_alloc(struct rte_mempool *mp)
{
	size_t octets = sizeof(struct rr_pool) + (size_t)mp->size * sizeof(uint32_t);
	struct rr_pool *pool = rte_zmalloc_socket(POOL_OPS, octets, RTE_CACHE_LINE_SIZE, mp->socket_id);
	if (pool == NULL)
		return -ENOMEM;
	pool->stride = mp->header_size + mp->elt_size + mp->trailer_size;
	pool->shift = (uint32_t)__builtin_ctz(pool->stride);
	pool->inverse = inverse_of(pool->stride >> pool->shift);
	pool->free.capacity = mp->size;
	const struct rte_mempool *other = mp->pool_config;
	if (other != NULL) {
		const struct rr_pool *there = other->pool_data;
		pool->objects = there->objects;
		pool->usable = there->usable;
	}
	mp->pool_data = pool;
	return 0;
}

static void rr_free(struct rte_mempool *mp)
{
	rte_free(mp->pool_data);
}

static int rr_enqueue(struct rte_mempool *mp, void *const *objects, unsigned int count)
{
	struct rr_pool *pool = mp->pool_data;
	struct rr_free_stack *stack = &pool->free;
	uint32_t len = stack->len;
	if (unlikely(count > stack->capacity - len))
		return -ENOBUFS;
	for (unsigned int i = 0; i < count; i++)
		stack->indices[len + i] = index_of(pool, objects[i]);
	set_len(stack, len + count);
	return 0;
}

static int rr_dequeue(struct rte_mempool *mp, void **objects, unsigned int count)
{
	struct rr_pool *pool = mp->pool_data;
	struct rr_free_stack *stack = &pool->free;
	uint32_t len = stack->len;
	if (unlikely(count > len))
		return -ENOBUFS;
	for (unsigned int i = 0; i < count; i++)
		objects[i] = object_at(pool, stack->indices[--len]);
	set_len(stack, len);
	return 0;
}

static unsigned int rr_get_count(const struct rte_mempool *mp)
{
	const struct rr_pool *pool = mp->pool_data;
	return __atomic_load_n(&pool->free.len, __ATOMIC_RELAXED);
}

/* Is called for each piece of the memory that is contiguous to devices, the first piece first. An
 * object that does not lie in one piece is left out, and the others keep their places.
 *
 * A pool over another's memory gets no object by this. It says that it got one, or DPDK would not count
 * the piece as the pool's, and drivers that make memory known to their device pool by pool would
 * leave it out. */
static int rr_populate(struct rte_mempool *mp, unsigned int objects_max, void *piece, rte_iova_t iova,
		       size_t len, rte_mempool_populate_obj_cb_t *add, void *argument)
{
	struct rr_pool *pool = mp->pool_data;
	if (mp->pool_config != NULL)
		return 1;
	if (pool->objects == NULL)
		pool->objects = (char *)piece + mp->header_size;
	size_t from = (size_t)((char *)piece - (pool->objects - mp->header_size));
	uint32_t index = (uint32_t)((from + pool->stride - 1) / pool->stride);
	unsigned int added = 0;
	for (; added < objects_max && index < mp->size; index++, added++) {
		size_t at = (size_t)index * pool->stride - from;
		if (at + pool->stride > len)
			break;
		at += mp->header_size;
		add(mp, argument, (char *)piece + at, iova == RTE_BAD_IOVA ? iova : iova + at);
		pool->free.indices[pool->free.len++] = index;
	}
	pool->usable += added;
	return (int)added;
}

static const struct rte_mempool_ops rr_pool_ops = {
	.name = "ringroad",
	.alloc = rr_alloc,
	.free = rr_free,
	.enqueue = rr_enqueue,
	.dequeue = rr_dequeue,
	.get_count = rr_get_count,
	.populate = rr_populate,
};

RTE_MEMPOOL_REGISTER_OPS(rr_pool_ops);

static void free_zone(struct rte_mempool_memhdr *memory, void *zone)
{
	(void)memory;
	rte_memzone_free(zone);
}

/* The size of an element that makes the stride an odd number of cache lines: the headers then
 * spread over all sets of a cache. */
static uint32_t spread(uint32_t element)
{
	struct rte_mempool_objsz size;
	uint32_t stride = rte_mempool_calc_obj_size(element, RTE_MEMPOOL_F_NO_SPREAD, &size);
	bool even = stride / RTE_CACHE_LINE_SIZE % 2 == 0;
	return even ? element + RTE_CACHE_LINE_SIZE : element;
}

/* Gives the pool `zone` as its memory, and its objects, where they are not another's. */
static int populate_from(struct rte_mempool *mp, const struct rte_memzone *zone,
			 rte_mempool_memchunk_free_cb_t *when_freed)
{
	int populated = rte_mempool_populate_virt(mp, zone->addr, zone->len, zone->hugepage_sz,
						  when_freed, (void *)(uintptr_t)zone);
	if (populated <= 0)
		return populated < 0 ? populated : -ENOMEM;
	((struct rr_pool *)mp->pool_data)->zone = zone;
	return 0;
}

/* Gives the pool memory of its own, and its objects. */
static int populate(struct rte_mempool *mp)
{
	size_t stride = mp->header_size + mp->elt_size + mp->trailer_size;
	const struct rte_memzone *zone = rte_memzone_reserve_aligned(
		mp->name, mp->size * stride, mp->socket_id, 0, RTE_CACHE_LINE_SIZE);
	if (zone == NULL)
		return -rte_errno;
	int failed = populate_from(mp, zone, free_zone);
	if (failed != 0)
		rte_memzone_free(zone);
	return failed;
}

/* A pool of objects of `element` octets, in the memory of `other` if there is one. */
static struct rte_mempool *create(const char *name, uint32_t frames, uint32_t element,
				  uint16_t buffer_len, int node, struct rte_mempool *other)
{
	struct rte_pktmbuf_pool_private private = {.mbuf_data_room_size = buffer_len};
	struct rte_mempool *mp = rte_mempool_create_empty(name, frames, element, 0, sizeof(private),
							  node, RTE_MEMPOOL_F_NO_SPREAD);
	if (mp == NULL)
		return NULL;
	int failed = rte_mempool_set_ops_byname(mp, POOL_OPS, other);
	if (failed == 0) {
		rte_pktmbuf_pool_init(mp, &private);
		const struct rr_pool *there = other == NULL ? NULL : other->pool_data;
		failed = there == NULL ? populate(mp) : populate_from(mp, there->zone, NULL);
	}
	if (failed != 0) {
		rte_mempool_free(mp);
		rte_errno = -failed;
		return NULL;
	}
	return mp;
}

struct rte_mempool *rr_pool_create(const char *name, uint32_t frames, uint16_t buffer_len, int node)
{
	uint32_t element = spread(sizeof(struct rte_mbuf) + buffer_len);
	struct rte_mempool *mp = create(name, frames, element, buffer_len, node, NULL);
	if (mp != NULL)
		rte_mempool_obj_iter(mp, rte_pktmbuf_init, NULL);
	return mp;
}

struct rte_mempool *rr_pool_create_over(struct rte_mempool *other, const char *name)
{
	return create(name, other->size, other->elt_size, rte_pktmbuf_data_room_size(other),
		      other->socket_id, other);
}

void rr_pool_layout(const struct rte_mempool *mp, struct rr_layout *layout)
{
	struct rr_pool *pool = mp->pool_data;
	*layout = (struct rr_layout){
		.buffers = pool->objects + sizeof(struct rte_mbuf),
		.refcounts = pool->objects + offsetof(struct rte_mbuf, refcnt),
		.pools = pool->objects + offsetof(struct rte_mbuf, pool),
		.stride = pool->stride,
		.usable = pool->usable,
		.free = &pool->free,
	};
}

/* ---- bursts ---- */

/* Good: the TCP checksum was verified. Bad: that or the IPv4 header's is wrong. */
static inline uint8_t checksum_of(const struct rte_mbuf *mbuf)
{
	uint64_t tcp = mbuf->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
	uint64_t ip = mbuf->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
	if (tcp == RTE_MBUF_F_RX_L4_CKSUM_BAD || ip == RTE_MBUF_F_RX_IP_CKSUM_BAD)
		return RR_CHECKSUM_BAD;
	return tcp == RTE_MBUF_F_RX_L4_CKSUM_GOOD ? RR_CHECKSUM_GOOD : RR_CHECKSUM_UNKNOWN;
}

uint16_t rr_rx_burst(uint16_t port, uint16_t queue, const struct rte_mempool *mp,
		     struct rr_packet *packets, uint16_t count, uint64_t *refused)
{
	const struct rr_pool *pool = mp->pool_data;
	struct rte_mbuf *mbufs[RR_BURST];
	uint16_t received = rte_eth_rx_burst(port, queue, mbufs, RTE_MIN(count, RR_BURST));
	uint16_t kept = 0;
	for (uint16_t i = 0; i < received; i++) {
		struct rte_mbuf *mbuf = mbufs[i];
		if (unlikely(mbuf->nb_segs != 1 || mbuf->pool != mp)) {
			/* Another's stack is not ours to put it on. */
			if (mbuf->pool == mp)
				rte_pktmbuf_free(mbuf);
			*refused += 1;
			continue;
		}
		packets[kept++] = (struct rr_packet){
			.index = index_of(pool, mbuf),
			.start = mbuf->data_off,
			.len = mbuf->data_len,
			.checksum = checksum_of(mbuf),
		};
	}
	return kept;
}

/* An mbuf has one segment whenever it is in a pool or in our hands: nb_segs and next are right
 * already, and next, in the second cache line, need not be touched. */
uint16_t rr_tx_burst(uint16_t port, uint16_t queue, const struct rte_mempool *mp,
		     const struct rr_packet *packets, uint16_t count)
{
	const struct rr_pool *pool = mp->pool_data;
	struct rte_mbuf *mbufs[RR_BURST];
	count = RTE_MIN(count, RR_BURST);
	for (uint16_t i = 0; i < count; i++) {
		struct rte_mbuf *mbuf = object_at(pool, packets[i].index);
		mbuf->data_off = packets[i].start;
		mbuf->ol_flags = 0;
		mbuf->pkt_len = packets[i].len;
		mbuf->data_len = packets[i].len;
		mbufs[i] = mbuf;
	}
	return rte_eth_tx_burst(port, queue, mbufs, count);
}

void rr_rx_discard(uint16_t port, uint16_t queue, uint32_t count)
{
	struct rte_mbuf *mbufs[RR_BURST];
	uint16_t received;
	do {
		received = rte_eth_rx_burst(port, queue, mbufs, RR_BURST);
		rte_pktmbuf_free_bulk(mbufs, received);
		count -= RTE_MIN(count, received);
	} while (received > 0 && count > 0);
}

bool rr_link(uint16_t port, bool *up, uint32_t *speed)
{
	struct rte_eth_link link;
	if (rte_eth_link_get_nowait(port, &link) != 0)
		return false;
	*up = link.link_status == RTE_ETH_LINK_UP;
	*speed = link.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? 0 : link.link_speed;
	return true;
}
