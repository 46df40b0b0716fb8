package io.github.superlens.engine;

import java.nio.ByteBuffer;

/**
 * The door to Python: one request in words, pixels in and out, one reply in words.
 * <p>
 * There are two kinds: Python that started this Java machine and answers in the same process (see {@link EngineRegistry}), and a Python worker
 * in a process of its own ({@link ApposeEngine}). Both get the same requests and give the same replies; what these say is laid down by the
 * files in {@code tests/protocol}. Only types of the JDK are used, so that both sides agree on them without a library.
 */
public interface Engine extends AutoCloseable {

	/**
	 * Does one piece of work and returns when it is done, which may take hours; never call it on the event dispatch thread.
	 *
	 * @param requestJson what to do, a JSON object
	 * @param in pixels of the images that the request names, in its order: direct buffers in native byte order, C order, from index 0 to
	 *          the limit. The engine reads them and changes neither them nor their positions.
	 * @param out room for the pixels of the outputs that the request names; filled when the reply says that all went well, undefined otherwise
	 * @param progress hears how far the work is, on any thread, and is asked whether to stop
	 * @return the reply, a JSON object; {@link Reply} reads it
	 * @throws EngineException when no reply came: the engine cannot be started, crashed, or did not stop when asked and was ended
	 */
	String call(String requestJson, ByteBuffer[] in, ByteBuffer[] out, Progress progress) throws EngineException;

	/** Says in a line which engine this is, without starting it. */
	String describe();

	/** Ends the engine and frees what it holds; a later call may start it anew. */
	@Override
	void close();
}
