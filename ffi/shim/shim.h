/* What the headers of DPDK hold as macros and static inline functions, as symbols that Rust can
 * call; and the mempool whose free objects are a stack of indices. */

#ifndef RR_SHIM_H
#define RR_SHIM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

enum {
	/* Packets of one burst, at most. */
	RR_BURST = 64,

	RR_NODE_ANY = SOCKET_ID_ANY,
	RR_HEADROOM = RTE_PKTMBUF_HEADROOM,
	/* The C string's zero included. */
	RR_POOL_NAME_OCTETS_MAX = RTE_MEMPOOL_NAMESIZE,
};

/* Macros with casts, which bindgen does not evaluate. */
static const uint64_t RR_RX_OFFLOAD_IPV4_CHECKSUM = 1ULL << 1;
static const uint64_t RR_RX_OFFLOAD_TCP_CHECKSUM = 1ULL << 3;
static const uint64_t RR_TX_OFFLOAD_TCP_CHECKSUM = 1ULL << 3;

/* The flows of IP and TCP, for which receive side scaling hashes. */
extern const uint64_t rr_rss_flows;

/* Free frames, by index; the last one freed on top. */
struct rr_free_stack {
	uint32_t len;
	uint32_t capacity;
	uint32_t indices[];
};

/* Where the frames of a pool lie. */
struct rr_layout {
	/* buf_addr, refcnt and pool of the mbuf with index 0. */
	void *buffers;
	void *refcounts;
	void *pools;
	uint32_t stride;
	uint32_t usable;
	struct rr_free_stack *free;
};

enum rr_checksum {
	RR_CHECKSUM_UNKNOWN,
	RR_CHECKSUM_GOOD,
	RR_CHECKSUM_BAD,
};

struct rr_packet {
	uint32_t index;
	/* From buf_addr [octets]. */
	uint16_t start;
	uint16_t len;
	uint8_t checksum;
	uint8_t reserved[3];
};

/* Lines of the log: not terminated, and not always whole. */
typedef void rr_log_write(uint32_t level, const char *text, size_t len);

/* Sends the log to `write` from now on; false if there is no memory for that. */
bool rr_log_to(rr_log_write *write);

/* Writes out what the C library still holds for the two standard descriptors. */
void rr_flush_standard_streams(void);

/* rte_errno of this thread. */
int rr_errno(void);

/* Whether this thread has a number among DPDK's. */
bool rr_thread_is_registered(void);

/* A mempool of mbufs; NULL with rte_errno if there is no memory, or the name is taken or too long. */
struct rte_mempool *rr_pool_create(const char *name, uint32_t frames, uint16_t buffer_len, int node);
/* Another over the same memory, without free frames; `other` has to outlive it. */
struct rte_mempool *rr_pool_create_over(struct rte_mempool *other, const char *name);
void rr_pool_layout(const struct rte_mempool *mp, struct rr_layout *layout);

/* Receives at most RR_BURST packets. What is no frame of `mp` in one piece is added to `refused`, and
 * freed if it is `mp`'s. */
uint16_t rr_rx_burst(uint16_t port, uint16_t queue, const struct rte_mempool *mp,
		     struct rr_packet *packets, uint16_t count, uint64_t *refused);

/* Sends at most RR_BURST packets, and says how many the device took, from the front. */
uint16_t rr_tx_burst(uint16_t port, uint16_t queue, const struct rte_mempool *mp,
		     const struct rr_packet *packets, uint16_t count);

/* Receives and frees up to `count` packets, until nothing comes. */
void rr_rx_discard(uint16_t port, uint16_t queue, uint32_t count);

/* Whether the link is up, and its speed [Mbit/s]; false if the device does not say. */
bool rr_link(uint16_t port, bool *up, uint32_t *speed);

#endif
