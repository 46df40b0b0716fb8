import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

import io.github.superlens.engine.EngineRegistry;
import io.github.superlens.engine.Progress;

/** Calls the registered engine as ImageJ's menu does: from a Java thread of that name, with direct buffers and a listener. */
public final class MenuThread implements Progress {

	/** What the listener heard. */
	public final List<String> heard = Collections.synchronizedList(new ArrayList<>());

	private final int cancelAfter;

	public MenuThread(int cancelAfter) {
		this.cancelAfter = cancelAfter;
	}

	public static ByteBuffer room(int bytes) {
		return ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
	}

	public String call(String request, ByteBuffer[] in, ByteBuffer[] out) throws InterruptedException {
		final String[] reply = new String[1];
		final Thread thread = new Thread(() -> {
			try {
				reply[0] = EngineRegistry.get().call(request, in, out, this);
			}
			catch (Throwable escaped) {
				reply[0] = "escaped: " + escaped;
			}
		}, "Run$_Superlens");
		thread.start();
		thread.join();
		return reply[0];
	}

	@Override
	public void update(String message, long current, long maximum, String infoJson) {
		heard.add(message + "|" + current + "|" + maximum + "|" + infoJson);
	}

	@Override
	public boolean isCanceled() {
		return heard.size() >= cancelAfter;
	}

	@Override
	public boolean isFinishRequested() {
		return false;
	}
}
