package io.github.superlens.ui;

import ij.Macro;
import ij.plugin.PlugIn;

/** Stands where ThunderSTORM's import would stand, and keeps what it was told. */
public final class FakeThunderSTORM implements PlugIn {

	static volatile String told;

	@Override
	public void run(String arg) {
		told = Macro.getOptions();
	}
}
