/*
 * Loaded before the package motion-vector-extractor (LD_PRELOAD), which starts a decoding thread for every core that
 * std::thread::hardware_concurrency() reports and offers no other way to say how many: here it reports one. One thread is
 * what is compared, and with more of them the package's vectors change from run to run.
 */
unsigned _ZNSt6thread20hardware_concurrencyEv(void);

unsigned _ZNSt6thread20hardware_concurrencyEv(void)
{
    return 1;
}
