#pragma once
/* Finds and kills processes by ancestry in /proc. Nothing is allocated and nothing is kept: a
 * pid is looked at and killed in the same breath. A pass can miss what was forked while it ran;
 * callers repeat it until the kernel says that no child is left (G1). */

/* SIGKILL to the children of `child` and of this process, from the lists that the kernel keeps: a
 * hundred backends are sent theirs in the time that a walk through /proc takes for a few. */
void proc_kill_head_start(int child);

/* SIGKILL to every descendant of this process. Returns how many were sent; -1 if /proc is of no use
 * here (then, as PID 1, everything that we may signal was). */
int proc_kill_descendants(void);

/* SIGKILL to everything below `root`, then to `root` and its process group. */
void proc_kill_tree(int root);

/* A signal to every direct child of this process. Returns how many. */
int proc_signal_children(int signum);
